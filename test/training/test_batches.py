import numpy as np
import pytest
import torch

from ddpm_controller.training.batches import batch_indices, generator_for, validation_indices


def test_every_window_comes_once_per_epoch_in_another_order():
    drawn = np.concatenate([batch_indices(0, step, 4, 10) for step in range(5)])  # two epochs
    first, second = drawn[:10], drawn[10:]
    assert sorted(first) == sorted(second) == list(range(10))
    assert first.tolist() != second.tolist()


def test_a_batch_depends_on_seed_and_step_alone():
    assert (batch_indices(3, 7, 4, 10) == batch_indices(3, 7, 4, 10)).all()
    assert batch_indices(3, 7, 32, 100).tolist() != batch_indices(4, 7, 32, 100).tolist()
    assert batch_indices(3, 7, 32, 100).tolist() != batch_indices(3, 8, 32, 100).tolist()


def test_a_batch_larger_than_the_data_is_filled_from_the_next_epoch():
    assert len(batch_indices(0, 0, 8, 3)) == 8
    assert set(batch_indices(0, 0, 8, 3)) == {0, 1, 2}


def test_generators_of_different_keys_differ():
    draws = [
        torch.rand(1, generator=generator_for(*key)).item()
        for key in [(0, 0, 0), (0, 0, 1), (0, 1, 0), (1, 0, 0), (0, 0, 2**32)]
    ]
    assert len(set(draws)) == len(draws)


@pytest.mark.parametrize(("windows", "most", "expected"), [(3, 10, [0, 1, 2]), (9, 3, [0, 4, 8])])
def test_validation_windows_are_evenly_spread(windows, most, expected):
    assert validation_indices(windows, most).tolist() == expected
