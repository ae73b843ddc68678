"""Parameters that a bag holds, whichever release has recorded it."""

import math

import pytest

from ddpm_controller.control.parameter_names import NAMES, WORDS, given_as, values_from

EARLIER = {
    "checkpoint": "",
    "state_denoiser": "",
    "n_action_steps": 0,
    "max_age_s": 0.0,
    "lead_s": -1.0,
    "start_margin": -1.0,
    "start_distance": 0.0,
    "reset_state_above": -1.0,
    "command_priority": 0,
    "fade_s": 0.3,
    "stop_s": 0.4,
    "approach_slowly": True,
    "policy_overrides": ["seam=warm"],
    "seed": 3,
    "use_sim_time": True,
}
PRESENT = {
    "checkpoint": "none",
    "policy.state_denoiser": "none",
    "chunk.n_action_steps": "as_checkpoint",
    "stop.max_age_s": "as_robot_file",
    "command.lead_s": "as_robot_file",
    "start.margin": "any",
    "start.distance": "as_checkpoint",
    "monitor.reset_state_above": "as_checkpoint",
    "command.priority": "none",
    "chunk.fade_s": 0.3,
    "stop.duration_s": 0.4,
    "start.approach_slowly": True,
    "policy.overrides": ["seam=warm"],
    "seed": 3,
    "use_sim_time": True,
}
VALUES = {
    "checkpoint": None,
    "state_denoiser": None,
    "n_action_steps": None,
    "max_age_s": None,
    "lead_s": None,
    "start_margin": math.inf,
    "start_distance": None,
    "reset_state_above": None,
    "command_priority": None,
    "fade_s": 0.3,
    "stop_s": 0.4,
    "approach_slowly": True,
    "policy_overrides": ["seam=warm"],
    "seed": 3,
    "use_sim_time": True,
}


def test_a_bag_of_an_earlier_release_and_one_of_this_have_the_same_values():
    assert values_from(EARLIER) == VALUES
    assert values_from(PRESENT) == VALUES


def test_values_are_given_to_a_controller_under_names_and_words_of_this_release():
    assert given_as(VALUES) == PRESENT


@pytest.mark.parametrize(
    ("recorded", "value"),
    [
        ({"lead_s": 0.0}, 0.0),
        ({"lead_s": 0.06}, 0.06),
        ({"command.lead_s": 0.0}, 0.0),
        ({"start_distance": -1.0}, math.inf),
        ({"start_distance": 0.2}, 0.2),
        ({"reset_state_above": 0.0}, math.inf),
        ({"reset_state_above": 5.0}, 5.0),
        ({"start.margin": 0.0}, 0.0),
        ({"start_margin": 0.0}, 0.0),
        ({"checkpoint": "models/reach"}, "models/reach"),
    ],
)
def test_a_number_counts_as_what_it_meant_to_the_release_that_recorded_it(recorded, value):
    assert list(values_from(recorded).values()) == [value]


def test_no_name_and_no_word_stands_for_two_things():
    assert len({*NAMES, *NAMES.values()}) == 2 * len(NAMES)
    for words in WORDS.values():
        assert len(set(words.values())) == len(words)
