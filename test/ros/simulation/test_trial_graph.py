"""Trials that cannot begin end with the reason of the controller."""

import pytest
from broken_checkpoints import edit
from random_checkpoint import save_random_checkpoint

from ddpm_controller.ros.simulation.trial_client import TrialError
from ddpm_controller.ros.simulation.trial_graph import trials_over_ros


def test_trials_of_a_checkpoint_that_is_refused_end_with_the_reason(tmp_path):
    save_random_checkpoint(tmp_path / "edited")
    edit(tmp_path / "edited")
    trials = trials_over_ros("pick_place", tmp_path / "edited", (1,), "real_time", 0.0, {})
    with pytest.raises(TrialError, match=r"INACTIVE \(DEACTIVATED\).*changed after training"):
        next(trials)
