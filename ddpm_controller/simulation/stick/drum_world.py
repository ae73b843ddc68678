"""Strike a drum so many times and then rest: how often it was struck, nobody sees but the drum."""

from collections.abc import Mapping
from typing import ClassVar

import numpy as np

from ddpm_controller.simulation.disturbances import UNPERTURBED, Perturbation
from ddpm_controller.simulation.scene import Scene
from ddpm_controller.simulation.stick.stick_arm import BALL_M
from ddpm_controller.simulation.stick.stick_world import StickWorld
from ddpm_controller.simulation.world import NamedVector

FEWEST, MOST = 2, 5
"""Strikes that can be asked for."""
DRUM_PLACE = np.array([0.0, 0.42])
"""Angle and radius of the drum's centre, rad and m."""
SURFACE_M = 0.06 + BALL_M
"""Height of the ball's centre where it touches the drum."""
TOP_M = 0.19
"""Height of the ball's centre where a strike begins and ends."""
REST_S = 1.5
"""Above one and a half periods of the slowest expert."""
_AREA = np.array([0.10, 0.03])
"""Largest distance of a start from the drum's centre: angle and radius."""
_TOP_SPREAD_M = 0.012
_STRIKE_N, _RELEASE_N, _RELEASE_S = 1.0, 0.2, 0.10
"""A strike is a force above the first; the next can come after the force was below the second
for so long."""
_RAISED_M, _SLOW_M_S = 0.05, 0.25
"""At rest is higher above the drum than this and slower than this."""
_WORDS = {2: "two", 3: "three", 4: "four", 5: "five"}
_SENTENCES = (
    "strike {} times",
    "strike the drum {} times",
    "hit the drum {} times",
    "beat the drum {} times",
)


class DrumWorld(StickWorld):
    """A touch sensor in the drum counts; success is the right count, kept at rest for a while.

    The start, the top between two strikes and the rest look alike. The world goes on counting
    after a success, and a rest that is stretched shows strikes that come late.

    Attributes:
        rest_s: How long the rest has to last.
    """

    name: ClassVar[str] = "drum"
    timeout_s: ClassVar[float] = 10.0
    objects_mjcf: ClassVar[str] = (
        f'<body name="drum" pos="{DRUM_PLACE[1]} 0 0.03">'
        '<geom class="thing" type="cylinder" size="0.14 0.03" rgba="0.65 0.12 0.10 1"/>'
        '<site name="drum_head" type="cylinder" size="0.15 0.03" pos="0 0 0.02" rgba="0 0 0 0"/>'
        "</body>"
    )
    extra_mjcf: ClassVar[str] = '<sensor><touch name="drum" site="drum_head"/></sensor>'

    def __init__(
        self,
        tick_hz: float = 50.0,
        scene: Scene | None = None,
        perturbation: Perturbation = UNPERTURBED,
    ) -> None:
        # The whole task again, without a strike.
        self.rest_s = REST_S + (perturbation.stretch - 1.0) * (self.timeout_s - REST_S)
        super().__init__(tick_hz, scene, perturbation)

    @property
    def wanted(self) -> int:
        """Strikes that are asked for in this episode."""
        return self._wanted

    @property
    def strike_times_s(self) -> tuple[float, ...]:
        """Of the strikes so far, since reset."""
        return tuple(self._strikes_s)

    @property
    def strikes(self) -> int:
        """Strikes that the sensor has counted."""
        return len(self._strikes_s)

    @property
    def instruction(self) -> str:
        """The goal in words, of which there are several for each number."""
        return self._sentence.format(self._number)

    @property
    def success(self) -> bool:
        """Whether there were as many strikes as wanted and then none for ``rest_s``."""
        rested_s = self._rest_ticks * self.tick_s
        return self.strikes == self._wanted and rested_s >= self.rest_s - 1e-9

    @property
    def tally(self) -> Mapping[str, float]:
        """Strikes, those wanted, and mean and deviation of the time between two, s."""
        periods_s = np.diff(self._strikes_s)
        return {
            "strikes": float(self.strikes),
            "wanted": float(self._wanted),
            "period_s": float(periods_s.mean()) if len(periods_s) else np.nan,
            "period_deviation_s": float(periods_s.std()) if len(periods_s) else np.nan,
        }

    def running_cost(self) -> float:
        """Return ``terminal_cost`` and the way of the ball to the drum, or from it, m."""
        above_m = float(self._tip[2]) - SURFACE_M
        strikes = self.strikes < self._wanted and self._armed
        way_m = max(0.0, above_m if strikes else _RAISED_M - above_m)
        return self.terminal_cost() + way_m

    def terminal_cost(self) -> float:
        """Return strikes missing or too many, and the part of the rest that is not kept yet."""
        wrong = abs(self._wanted - self.strikes)
        if wrong:
            return wrong + 1.0
        return max(0.0, 1.0 - self._rest_ticks * self.tick_s / self.rest_s)

    def _begin(self, random: np.random.Generator) -> np.ndarray:
        self._wanted = int(random.integers(FEWEST, MOST, endpoint=True))
        self._strikes_s: list[float] = []
        self._armed, self._touched_s = True, 0.0
        self._rest_ticks = 0
        self._before = np.full(3, np.nan)
        self._touch = self._state.sensordata
        # From a stream of its own: worlds are what they were before anything was said.
        words = random.spawn(1)[0]
        self._sentence = str(words.choice(_SENTENCES))
        self._number = _WORDS[self._wanted] if words.random() < 0.5 else str(self._wanted)
        place = DRUM_PLACE + random.uniform(-_AREA, _AREA)
        return np.append(place, random_top(random))

    def _watch(self) -> None:
        force, now_s = self._touch[0], self._state.time
        if force > _RELEASE_N:
            self._touched_s = now_s
        if self._armed and force > _STRIKE_N:
            self._strikes_s.append(now_s)
            self._armed = False
        elif not self._armed and now_s - self._touched_s > _RELEASE_S:
            self._armed = True

    def _judge(self) -> None:
        speed = np.linalg.norm(self._tip - self._before) / self.tick_s
        raised = self._tip[2] > SURFACE_M + _RAISED_M
        self._before = self.tip
        self._rest_ticks = self._rest_ticks + 1 if raised and speed < _SLOW_M_S else 0

    def _sensed(self, noise: np.random.Generator) -> Mapping[str, NamedVector]:
        return {"goal": NamedVector(("strikes_wanted",), np.array([float(self._wanted)]))}


def random_top(random: np.random.Generator) -> float:
    """Return a height at which the tip starts, turns or rests: always from the same range."""
    return TOP_M + float(random.uniform(-_TOP_SPREAD_M, _TOP_SPREAD_M))
