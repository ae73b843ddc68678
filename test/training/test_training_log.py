import math
from dataclasses import replace

from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from ddpm_controller.checkpoint import load_checkpoint
from ddpm_controller.training.log import LogLine, TrainingLog, read_log


def write(output, steps, after=0):
    log = TrainingLog(output, after)
    for step in steps:
        log.write(LogLine(step, 1.0 / step, 1e-3, 0.5, 0.25 if step % 2 == 0 else math.nan))
    log.close()


def test_lines_are_read_as_they_were_written(tmp_path):
    write(tmp_path, [1, 2])
    one, two = read_log(tmp_path)
    assert (one.step, one.loss, math.isnan(one.validation_loss)) == (1, 1.0, True)
    assert two == LogLine(2, 0.5, 1e-3, 0.5, 0.25)


def test_work_that_was_lost_is_dropped_from_both_logs(tmp_path):
    write(tmp_path, [1, 2, 3, 4])
    with (tmp_path / "log.jsonl").open("a") as file:
        file.write('{"step": 5, "lo')  # cut off by a kill
    write(tmp_path, [3], after=2)
    assert [line.step for line in read_log(tmp_path)] == [1, 2, 3]
    curves = EventAccumulator(str(tmp_path / "tensorboard")).Reload()
    assert [event.step for event in curves.Scalars("loss")] == [1, 2, 3]
    assert [event.step for event in curves.Scalars("validation_loss")] == [2]


def test_the_bound_of_held_out_chunks_is_in_the_log_and_in_the_checkpoint(tiny, tmp_path):
    tiny.train_tiny(tmp_path, replace(tiny.CONFIG, nll_windows=4))
    lines = read_log(tmp_path)
    measured = [line.step for line in lines if not math.isnan(line.validation_nll)]
    assert measured == [4, 8, 12]
    provenance = load_checkpoint(tmp_path / "checkpoints" / "last").manifest.provenance
    assert provenance["validation_nll"] == lines[-1].validation_nll
