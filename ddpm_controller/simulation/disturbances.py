"""What disturbs an episode: pushes, sensors that stand still, and longer waits; from its seed."""

from dataclasses import dataclass

import numpy as np

_PUSH_S = (0.15, 0.30)
_PUSH_N = (10.0, 25.0)
_LIFT_N = (0.0, 8.0)
"""Never downwards: a push is to disturb, not to do the work."""
_PUSHED_BETWEEN_S = (0.4, 5.0)
_OCCLUDED_BETWEEN_S = (1.0, 5.0)
"""Begin of a push and of an occlusion, s since reset."""


@dataclass(frozen=True, eq=False)
class Push:
    """A force on the tip.

    Attributes:
        start_s: Since reset.
        duration_s: How long it lasts.
        force: (3,), N, in the frame of the base.
    """

    start_s: float
    duration_s: float
    force: np.ndarray


@dataclass(frozen=True)
class Perturbation:
    """How every episode of a world is disturbed.

    Attributes:
        pushes: Their number, at random times.
        occlusions: Times that everything measured stands still: joints and vectors keep their
            last values and pictures are black. In MetaWorld's tasks only the objects do.
        occlusion_s: How long each lasts.
        stretch: How many times as long an episode lasts, by the waits that it contains.
        pull_backs: Times that what has been moved is drawn back when the goal is near; only
            MetaWorld's tasks have such a thing.
    """

    pushes: int = 0
    occlusions: int = 0
    occlusion_s: float = 1.0
    stretch: float = 1.0
    pull_backs: int = 0

    def __post_init__(self) -> None:
        for name in ("pushes", "occlusions", "occlusion_s", "pull_backs"):
            if not getattr(self, name) >= 0:
                raise ValueError(f"{name} must not be below 0, got {getattr(self, name)}")
        if not self.stretch >= 1:
            raise ValueError(f"stretch must be at least 1, got {self.stretch}")


UNPERTURBED = Perturbation()
PERTURBATIONS = {
    "nominal": UNPERTURBED,
    "pushed": Perturbation(pushes=2),
    "occluded": Perturbation(occlusions=2),
    "longer": Perturbation(stretch=2.0),
}
"""Those that evaluations compare, by name."""
PULLING = {**PERTURBATIONS, "pulled_back": Perturbation(pull_backs=1)}
"""Those in worlds with something that can be pulled back."""


class Disturbances:
    """What disturbs one episode.

    Args:
        perturbation: Perturbation of the episode.
        random: Draws from it when.

    Attributes:
        pushes: In no order.
    """

    def __init__(self, perturbation: Perturbation, random: np.random.Generator) -> None:
        self.pushes = [random_push(random) for _ in range(perturbation.pushes)]
        self._occlusions = [
            random_occlusion(random, perturbation.occlusion_s)
            for _ in range(perturbation.occlusions)
        ]

    def occlude(self, begin_s: float, end_s: float) -> None:
        """Let sensors stand still once more, from and to a time since reset."""
        self._occlusions.append((begin_s, end_s))

    def occluded(self, time_s: float) -> bool:
        """Return whether sensors stand still at a time since reset."""
        return any(begin_s <= time_s < end_s for begin_s, end_s in self._occlusions)


def random_push(random: np.random.Generator) -> Push:
    """Return a push sideways or upwards at a random time, as in the demonstrations."""
    angle = random.uniform(0.0, 2 * np.pi)
    sideways = random.uniform(*_PUSH_N) * np.array([np.cos(angle), np.sin(angle)])
    return Push(
        random.uniform(*_PUSHED_BETWEEN_S),
        random.uniform(*_PUSH_S),
        np.append(sideways, random.uniform(*_LIFT_N)),
    )


def random_occlusion(random: np.random.Generator, duration_s: float) -> tuple[float, float]:
    """Return begin and end of an occlusion, s since reset."""
    begin_s = random.uniform(*_OCCLUDED_BETWEEN_S)
    return begin_s, begin_s + duration_s
