"""A light shows for a moment where to go; the way is free when another light comes on."""

from collections.abc import Mapping
from typing import ClassVar

import mujoco
import numpy as np

from ddpm_controller.simulation.stick.stick_world import FAILURE_COST_M, StickWorld
from ddpm_controller.simulation.world import NamedVector

PLACES = ((0.6, 0.48, 0.05), (0.0, 0.48, 0.05), (-0.6, 0.48, 0.05))
"""Left, middle and right: angle, radius, height; rad and m."""
HOME = np.array([0.0, 0.33, 0.17])
_HOME_SPREAD = np.array([0.05, 0.01, 0.01])
TOUCH_M = 0.04
"""Of the tip from the centre of a place."""
_HOLD_S = 0.3
_CUE_AT_S, _CUE_S, _WAIT_S = (0.1, 0.4), 0.6, (1.0, 3.0)
"""When the light comes on, how long it stays, and how long after it the way is free."""
_LIGHT_NOISE = 0.05
_NAMES = ("light_left", "light_middle", "light_right", "light_go")
_HIDDEN = np.array([0.0, 0.0, -1.0])


def _centre(place: tuple[float, float, float]) -> np.ndarray:
    angle, radius, height = place
    return np.array([radius * np.cos(angle), radius * np.sin(angle), height])


_CENTRES = np.array([_centre(place) for place in PLACES])  # (3, 3), m
_HOME_POINT = _centre((HOME[0], HOME[1], HOME[2]))  # (3,), m
_LAMPS = np.append(
    _CENTRES + np.array([0.10, 0.0, 0.05]), [[0.15, 0.30, 0.10]], axis=0
)  # (4, 3), m


def _disc(centre: np.ndarray) -> str:
    return (
        f'<geom type="cylinder" size="{TOUCH_M} 0.002" pos="{centre[0]} {centre[1]} 0.002" '
        'rgba="0.25 0.45 0.60 1"/>'
    )


def _lamp(name: str, colour: str) -> str:
    return (
        f'<body name="{name}" mocap="true"><geom type="sphere" size="0.035" rgba="{colour}"/>'
        "</body>"
    )


class CueReachWorld(StickWorld):
    """Success is the tip held at the place that was lit, after the go; nowhere else before.

    A touch of another place, or of any before the go, fails the episode. A stretched episode has
    longer waits.
    """

    name: ClassVar[str] = "cue_reach"
    timeout_s: ClassVar[float] = 9.0
    objects_mjcf: ClassVar[str] = (
        "".join(_disc(centre) for centre in _CENTRES)
        + _lamp("cue", "1.0 0.95 0.2 1")
        + _lamp("go", "0.1 1.0 0.2 1")
    )

    @property
    def place(self) -> int:
        """Which of ``PLACES`` was lit; observed only while it is."""
        return self._place

    @property
    def may_go(self) -> bool:
        """Whether the light that says go is on."""
        return self.time_s >= self._go_s

    @property
    def failed(self) -> bool:
        """Whether a place was touched that should not have been, or too early."""
        return self._failed

    @property
    def success(self) -> bool:
        """Whether the right place has been held for a while, and no other was touched."""
        return not self._failed and self._held_ticks * self.tick_s >= _HOLD_S - 1e-9

    @property
    def tally(self) -> Mapping[str, float]:
        """The place that was lit, the first that was touched (-1: none), and a false start."""
        return {
            "place": float(self._place),
            "touched": float(self._touched),
            "early": float(self._early),
            "wait_s": self._go_s - self._dark_s,
        }

    def running_cost(self) -> float:
        """Return ``terminal_cost``: the way home before the go is a part of the way."""
        return self.terminal_cost()

    def terminal_cost(self) -> float:
        """Return the way of the tip to the place that was lit, before the go by home, m.

        An episode that has failed costs ``FAILURE_COST_M`` more.
        """
        place, failure = _CENTRES[self._place], FAILURE_COST_M * self._failed
        if self.may_go:
            return failure + float(np.linalg.norm(self._tip - place))
        ways = np.linalg.norm([self._tip - _HOME_POINT, _HOME_POINT - place], axis=1)
        return failure + float(ways.sum())

    def _begin(self, random: np.random.Generator) -> np.ndarray:
        self._place = int(random.integers(len(PLACES)))
        self._lit_s = random.uniform(*_CUE_AT_S)
        self._dark_s = self._lit_s + _CUE_S
        self._go_s = self._dark_s + random.uniform(*_WAIT_S) * self.perturbation.stretch
        self._failed, self._early = False, False
        self._touched = -1
        self._held_ticks = 0
        self._lamps = np.zeros(len(_NAMES))
        self._state.mocap_pos[:] = _HIDDEN
        return HOME + random.uniform(-_HOME_SPREAD, _HOME_SPREAD)

    def _watch(self) -> None:
        """See ``_judge``: a tick is short enough."""

    def _judge(self) -> None:
        self._light()
        near = np.linalg.norm(_CENTRES - self._tip, axis=1) < TOUCH_M
        if near.any() and self._touched < 0:
            self._touched = int(near.argmax())
            self._early = not self.may_go
            self._failed = self._early or self._touched != self._place
        self._held_ticks = self._held_ticks + 1 if near[self._place] else 0
        self._failed = self._failed or bool(near[np.arange(len(PLACES)) != self._place].any())

    def _light(self) -> None:
        """Switch the lamps; in the pictures one that is on is there, and else it is not."""
        before = self._lamps
        self._lamps = np.zeros(len(_NAMES))
        self._lamps[self._place] = self._lit_s <= self.time_s < self._dark_s
        self._lamps[-1] = self.may_go
        if (self._lamps != before).any():
            cue, go = self._lamps[self._place], self._lamps[-1]
            self._state.mocap_pos[0] = _LAMPS[self._place] if cue else _HIDDEN
            self._state.mocap_pos[1] = _LAMPS[-1] if go else _HIDDEN
            mujoco.mj_kinematics(self.scene.model, self._state)

    def _sensed(self, noise: np.random.Generator) -> Mapping[str, NamedVector]:
        seen = self._lamps + _LIGHT_NOISE * noise.standard_normal(len(_NAMES))
        return {"light": NamedVector(_NAMES, seen)}
