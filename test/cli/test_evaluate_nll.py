import json

import pytest
from small_training import small_training

from ddpm_controller.cli import evaluate_nll


def run(files, *words, checkpoint=None):
    checkpoint = checkpoint or files.output / "checkpoints" / "last"
    output = files.output.parent / "nll"
    given = ["--checkpoint", checkpoint, "--bags", files.bags, "--robot", files.robot]
    given += ["--output", output, "--windows-per-episode", "2"]
    return evaluate_nll.main([*map(str, given), *words]), output


def test_it_leaves_a_table_a_picture_and_numbers(trained, capsys):
    code, output = run(trained, "--held-out")
    assert code == 0
    said = capsys.readouterr().out
    assert "1 episodes" in said  # one of two good ones was held out
    assert "nats per number" in said
    assert "joint lift" in said
    assert (output / "nll.png").read_bytes().startswith(b"\x89PNG")
    numbers = json.loads((output / "nll.json").read_text())
    assert sum(numbers["per_term"].values()) == pytest.approx(numbers["mean"])
    assert len(numbers["timesteps"]) == len(numbers["per_timestep"]) == 100
    assert set(numbers["per_joint"]) == {"lift", "grip"}


def test_a_short_chain_and_ticks(trained, capsys):
    assert run(trained, "--num-steps", "4", "--ticks", "0.001", "0.001")[0] == 0
    assert "bits per number" in capsys.readouterr().out
    numbers = json.loads((trained.output.parent / "nll" / "nll.json").read_text())
    assert numbers["timesteps"] == [0, 25, 50, 75]
    assert numbers["unit"] == "bits"


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--ticks", "0.001"], "ticks needs one width for each of ['lift', 'grip']"),
        (["--variance", "small"], "variance 'small': this checkpoint has 'fixed_small'"),
        (["--variance", "learned_range"], "this checkpoint has 'fixed_small'"),
        (["--num-steps", "101"], "num_train_timesteps = 100, got 101"),
        (["--windows-per-episode", "0"], "0 windows"),
    ],
)
def test_what_cannot_be_measured_is_refused_with_the_reason(trained, capsys, words, message):
    assert run(trained, *words)[0] == 1
    assert message in " ".join(capsys.readouterr().out.split())


def test_a_checkpoint_that_held_out_nothing_of_these_bags_is_refused(trained, capsys, tmp_path):
    other = small_training(tmp_path)
    for bag in sorted(other.bags.iterdir()):
        bag.rename(bag.with_name("other_" + bag.name))
    assert run(trained, "--held-out", "--bags", str(other.bags))[0] == 1
    assert "was held out from the training" in " ".join(capsys.readouterr().out.split())


def test_a_missing_checkpoint_is_refused(trained, capsys, tmp_path):
    assert run(trained, checkpoint=tmp_path)[0] == 1
    assert "no checkpoint here" in " ".join(capsys.readouterr().out.split())
