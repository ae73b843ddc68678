from ddpm_controller.checkpoint import load_checkpoint, save_checkpoint
from ddpm_controller.cli.distill import main


def arguments(trained, output, teacher=None):
    teacher = teacher or trained.output / "checkpoints" / "last"
    words = [teacher, "--bags", trained.bags, "--robot", trained.robot, "--output", output]
    return [*map(str, words), "--num-steps", "6", "--levels", "2", "--evaluations", "3"]


def test_it_distils_from_bags_and_tells_where_everything_is(
    trained, tmp_path, capsys, monkeypatch
):
    for name in ("draw_curves", "draw_samples"):  # they take longer than the rest
        monkeypatch.setattr(f"ddpm_controller.training.run.{name}", lambda *arguments: None)
    assert main(arguments(trained, tmp_path)) == 0
    printed = capsys.readouterr().out
    assert "6/6" in printed
    assert "checkpoints/last" in printed
    teacher = load_checkpoint(trained.output / "checkpoints" / "last").manifest
    manifest = load_checkpoint(tmp_path / "checkpoints" / "last").manifest
    assert manifest.kind == "diffusion_policy"
    assert manifest.config["num_inference_steps"] == 3
    assert [stream.name for stream in manifest.streams] == ["joint_state"]
    # The same windows, and the same ones held out.
    mine, theirs = manifest.provenance["training"], teacher.provenance["training"]
    for name in ("seed", "batch_size", "validation_fraction", "stay_at_end"):
        assert mine[name] == theirs[name]
    assert manifest.provenance["held_out"] == teacher.provenance["held_out"]


def test_a_checkpoint_of_another_kind_is_refused_with_both(trained, tmp_path, capsys):
    given = load_checkpoint(trained.output / "checkpoints" / "last")
    save_checkpoint(
        tmp_path / "other",
        kind="bc_lstm",
        config={},
        action_spec=given.manifest.action_spec,
        streams=given.manifest.streams,
        statistics=given.manifest.statistics,
        provenance={},
        weights=given.weights,
    )
    assert main(arguments(trained, tmp_path / "run", tmp_path / "other")) == 1
    printed = capsys.readouterr().out
    assert "must be of kind 'diffusion_policy', this checkpoint is of kind 'bc_lstm'" in printed
    assert not (tmp_path / "run").exists()


def test_a_folder_that_is_no_checkpoint_is_told_in_one_line(trained, tmp_path, capsys):
    assert main(arguments(trained, tmp_path / "run", tmp_path / "nowhere")) == 1
    assert "nowhere" in capsys.readouterr().out
