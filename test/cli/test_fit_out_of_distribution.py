import numpy as np

from ddpm_controller.checkpoint import OUT_OF_DISTRIBUTION_NAME, load_checkpoint
from ddpm_controller.cli.fit import fit_out_of_distribution
from ddpm_controller.systems import restore
from ddpm_controller.types import Observation


def run(files, bags):
    checkpoint = files.output / "checkpoints" / "last"
    given = ["--checkpoint", checkpoint, "--bags", bags, "--robot", files.robot]
    return fit_out_of_distribution.main([*map(str, given)]), checkpoint


def test_a_checkpoint_learns_what_it_was_trained_for_and_keeps_its_hash(trained, capsys):
    name = load_checkpoint(trained.output / "checkpoints" / "last").hash
    for _ in range(2):  # again, over its own file
        code, checkpoint = run(trained, trained.bags)
        assert code == 0
    assert "limit" in capsys.readouterr().out
    assert load_checkpoint(checkpoint).hash == name
    policy = restore(checkpoint)
    stream = policy.facts.streams[0]
    low, high = policy.facts.training_range.state_low, policy.facts.training_range.state_high
    scores = []
    for value in ((low + high) / 2, high + 10 * (high - low)):
        steps = range(policy.facts.n_obs_steps)
        window = [Observation(0.1 * k, {stream.name: value}) for k in steps]
        traces = policy.plan(window, policy.initial_memory(0)).traces
        scores.append(traces["out_of_distribution"] / traces["out_of_distribution_limit"])
    assert np.isfinite(scores).all()
    assert 2 * scores[0] < scores[1]
    assert scores[1] > 1


def test_without_an_episode_that_was_held_out_it_says_which_ones_are_needed(trained, capsys):
    checkpoint = trained.output / "checkpoints" / "last"
    held_out = load_checkpoint(checkpoint).manifest.provenance["held_out"][0].split("#")[0]
    (checkpoint / OUT_OF_DISTRIBUTION_NAME).unlink(missing_ok=True)
    others = [bag for bag in sorted(trained.bags.iterdir()) if bag.name != held_out]
    assert run(trained, others[0])[0] == 1
    assert held_out in " ".join(capsys.readouterr().out.split())
    assert not (checkpoint / OUT_OF_DISTRIBUTION_NAME).exists()
