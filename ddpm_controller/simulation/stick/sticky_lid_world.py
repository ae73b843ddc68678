"""Open a lid at tab A, or at B if A is locked: which one is, only pulling tells."""

from collections.abc import Mapping
from typing import ClassVar

import numpy as np

from ddpm_controller.simulation.stick.stick_arm import BALL_M
from ddpm_controller.simulation.stick.stick_world import FAILURE_COST_M, StickWorld
from ddpm_controller.simulation.world import NamedVector

TAB_ANGLES = (0.45, -0.45)
"""Of A and B, rad."""
TAB_RADIUS_M = 0.46
TRAVEL_M = 0.08
"""How far a tab that is not locked comes towards the arm."""
HOME = np.array([0.0, 0.43, 0.14])
"""Place of the tip at the start and between two tabs."""
_HOME_SPREAD = np.array([0.04, 0.01, 0.01])
A_LOCKED = 0.6
"""Share of the episodes in which A is the locked one."""
TAB_HALF_M = 0.004
"""Half of a tab's thickness."""
BEHIND_M = TAB_RADIUS_M + TAB_HALF_M + BALL_M
"""Radius of the tip that touches a closed tab from behind."""
_TAB_HEIGHT_M = 0.04
"""Height of the middle of a tab."""
_OPEN_M = 0.06
_PULL_N = 3.0
_AWAY_M = 0.11
"""Higher than this the tip has left the tabs."""
_DISPLACEMENT_NOISE_M = 0.0005


def _tab(name: str, angle: float) -> str:
    x, y = TAB_RADIUS_M * np.cos(angle), TAB_RADIUS_M * np.sin(angle)
    return (
        f'<body name="tab_{name}" pos="{x} {y} {_TAB_HEIGHT_M}" euler="0 0 {np.degrees(angle)}">'
        f'<joint name="tab_{name}" type="slide" axis="-1 0 0" range="0 {TRAVEL_M}" '
        'damping="8" frictionloss="1"/>'
        f'<geom class="thing" type="box" size="{TAB_HALF_M} 0.045 0.035" mass="0.3" '
        'rgba="0.15 0.35 0.75 1"/>'
        f'<site name="grip_{name}" type="box" size="0.02 0.05 0.04" rgba="0 0 0 0"/></body>'
    )


def _point(angle: float, radius: float) -> np.ndarray:
    """Return a point (3,), m, at half the height of the tabs."""
    return np.array([radius * np.cos(angle), radius * np.sin(angle), _TAB_HEIGHT_M])


class StickyLidWorld(StickWorld):
    """Two tabs that slide towards the arm; one is locked.

    A locked tab gives way under no pull and is as before when it is let go. A has to be tried
    first. Success is the other tab at its end; pulling B before A, or a tab again that was left,
    fails the episode. A stretched episode only lasts longer.
    """

    name: ClassVar[str] = "sticky_lid"
    timeout_s: ClassVar[float] = 12.0
    objects_mjcf: ClassVar[str] = "".join(
        _tab(name, angle) for name, angle in zip("ab", TAB_ANGLES, strict=True)
    )
    extra_mjcf: ClassVar[str] = (
        '<equality><joint name="lock_a" joint1="tab_a" solref="0.01 1" active="false"/>'
        '<joint name="lock_b" joint1="tab_b" solref="0.01 1" active="false"/></equality>'
        '<sensor><touch site="grip_a"/><touch site="grip_b"/></sensor>'
    )

    @property
    def locked(self) -> int:
        """Which tab is locked: 0 for A, 1 for B; never observed."""
        return self._locked

    @property
    def displacements(self) -> np.ndarray:
        """How far the tabs have come, (2,), m."""
        return np.array(self._state.qpos[-2:])

    @property
    def failed(self) -> bool:
        """Whether a tab was pulled that should not have been."""
        return self._failed

    @property
    def success(self) -> bool:
        """Whether the tab that is not locked is open, and nothing was pulled in vain twice."""
        return not self._failed and bool(self.displacements[1 - self._locked] > _OPEN_M)

    @property
    def tally(self) -> Mapping[str, float]:
        """Visits at which a tab was pulled, which one is locked, and whether that failed."""
        return {
            "pulls_a": float(self._pulls[0]),
            "pulls_b": float(self._pulls[1]),
            "locked": float(self._locked),
            "failed": float(self._failed),
        }

    def running_cost(self) -> float:
        """Return ``terminal_cost`` and the way of the tip to the back of the tab to pull, m."""
        tab = 0 if self._pulls[0] == 0 else 1 - self._locked
        behind = _point(TAB_ANGLES[tab], BEHIND_M - self.displacements[tab])
        closed = min(1.0, self._way_of_tab() / _OPEN_M)
        return self.terminal_cost() + closed * float(np.linalg.norm(self._tip - behind))

    def terminal_cost(self) -> float:
        """Return how far the tab that opens has to come, and A to be tried, m; see ``failed``."""
        untried = _OPEN_M if self._pulls[0] == 0 else 0.0
        return self._way_of_tab() + untried + FAILURE_COST_M * self._failed

    def _way_of_tab(self) -> float:
        return max(0.0, _OPEN_M - float(self.displacements[1 - self._locked]))

    def _begin(self, random: np.random.Generator) -> np.ndarray:
        self._locked = 0 if random.uniform() < A_LOCKED else 1
        self._state.eq_active[self._locked] = 1
        self._pulls = [0, 0]
        self._visiting = -1
        self._failed = False
        self._grips = self._state.sensordata
        return random_home(random)

    def _watch(self) -> None:
        if self._tip[2] > _AWAY_M:
            self._visiting = -1
            return
        for tab in (0, 1):
            if self._grips[tab] > _PULL_N and self._visiting != tab:
                self._visiting = tab
                self._pulls[tab] += 1
                too_early = tab == 1 and self._pulls[0] == 0
                self._failed = self._failed or too_early or self._pulls[tab] > 1

    def _judge(self) -> None:
        """See ``_watch``: a pull is seen at once."""

    def _sensed(self, noise: np.random.Generator) -> Mapping[str, NamedVector]:
        seen = self.displacements + _DISPLACEMENT_NOISE_M * noise.standard_normal(2)
        return {"tabs": NamedVector(("tab_a", "tab_b"), seen)}


def random_home(random: np.random.Generator) -> np.ndarray:
    """Return a place (3,) at which the tip starts or comes by: always from the same range."""
    return HOME + random.uniform(-_HOME_SPREAD, _HOME_SPREAD)
