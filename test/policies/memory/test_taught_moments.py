import numpy as np
import torch

from ddpm_controller.data.windows import WindowDataset
from ddpm_controller.policies.memory.taught_moments import (
    executed_before,
    taught_moments,
    without_the_time_before,
)
from ddpm_controller.types import Episode

HORIZON, HISTORY, LENGTH = 4, 20, 12


def batch(indices=range(LENGTH)):
    """Every history of one episode whose numbers are the moments themselves."""
    rows = np.arange(LENGTH, dtype=float)
    episode = Episode(0.1 * rows, {"clock": rows[:, None]}, 100 + rows[:, None], "one")
    windows = WindowDataset([episode], HISTORY, HISTORY + HORIZON - 1)
    found = windows.gather(np.array(list(indices)))
    return {
        "values": {name: torch.from_numpy(value) for name, value in found.values.items()},
        "actions": torch.from_numpy(found.actions),
        "mask": torch.from_numpy(found.mask),
    }


def taught(of, n_obs_steps=2, count=3, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return taught_moments(of, n_obs_steps, HORIZON, count, generator)


def test_a_moment_is_taught_with_what_was_seen_and_done_around_it():
    found = taught(batch())
    moments = found.values["clock"][:, -1, 0]
    before = found.values["clock"][:, -2, 0]
    assert torch.equal(before, (moments - 1).clamp(min=0))
    for row, moment in enumerate(moments.tolist()):
        steps = torch.arange(moment - 1, moment - 1 + HORIZON)
        exists = found.mask[row]
        if exists.any():
            assert torch.equal(exists, (steps >= 0) & (steps < LENGTH))
            assert torch.equal(found.actions[row, exists, 0], 100 + steps[exists])


def test_rows_point_into_the_history():
    found, of = taught(batch()), batch()
    clock = of["values"]["clock"][:, :, 0]
    pointed = clock.gather(1, found.rows).flatten()
    there = found.mask.any(dim=1)
    assert torch.equal(pointed[there], found.values["clock"][there, -1, 0])


def test_every_moment_is_taught_equally_often_but_for_the_last_ones():
    visits = torch.zeros(LENGTH)
    for seed in range(200):
        found = taught(batch(), seed=seed)
        moments = found.values["clock"][found.mask.any(dim=1), -1, 0].long()
        visits += torch.bincount(moments, minlength=LENGTH)
    visits /= 200
    # Two random ones in three places: a standard error of 0.05.
    torch.testing.assert_close(visits[: 1 - HORIZON], torch.full((9,), 3.0), rtol=0, atol=0.25)
    assert (visits[1 - HORIZON :] >= 1).all()


def test_the_end_of_a_history_is_always_taught():
    found = taught(batch(), count=1)
    assert torch.equal(found.values["clock"][:, -1, 0], torch.arange(LENGTH).float())
    assert found.mask[:, 1].all()


def test_the_time_before_all_episodes_is_left_out_and_nothing_else():
    short = without_the_time_before(batch([3, 6]), HORIZON)
    assert short["mask"].shape == (2, 7 + HORIZON - 1)
    assert short["values"]["clock"][1, :, 0].tolist() == [0, 1, 2, 3, 4, 5, 6]
    assert short["mask"][0, :7].tolist() == [False] * 3 + [True] * 4
    whole, part = taught(batch([3, 6])), taught(short)
    assert torch.equal(whole.mask, part.mask)
    assert torch.equal(whole.actions[whole.mask], part.actions[part.mask])


def test_what_was_executed_before_a_row_is_the_action_of_the_row_before():
    of = without_the_time_before(batch([3, 6]), HORIZON)
    valid = of["mask"][:, :7]
    generator = torch.Generator().manual_seed(0)
    plain = executed_before(of["actions"], valid, 0.0, generator)[:, :, 0]
    assert plain[1, 1:].tolist() == [100, 101, 102, 103, 104, 105]
    assert plain[1, 0].isnan()
    assert plain[0, :4].isnan().all()  # of a run that begins in row 3 the first has none before
    assert plain[0, 4:].tolist() == [100, 101, 102]
    noisy = executed_before(of["actions"], valid, 0.1, generator)[:, :, 0]
    assert torch.equal(noisy.isnan(), plain.isnan())
    assert 0 < (noisy - plain)[1, 1:].abs().max() < 1
