"""What a planner is: its method, its budget, its model and what it observes of the state."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields, replace
from typing import Any, Literal

from ddpm_controller.dynamics.perturbed import PerturbedModels
from ddpm_controller.dynamics.solver import SolverSettings
from ddpm_controller.planners.cem import Cem
from ddpm_controller.planners.dial_mpc import DialMpc
from ddpm_controller.planners.method import Method
from ddpm_controller.planners.mppi import Mppi
from ddpm_controller.planners.predictive_sampling import PredictiveSampling
from ddpm_controller.planners.splines import DEGREES, Spline
from ddpm_controller.rewards.validated import validated

MethodName = Literal["dial_mpc", "mppi", "cem", "predictive_sampling"]
FEWEST_ROLLOUTS = 4
"""Nominal plan, best so far, and a pair of noise."""


@dataclass(frozen=True)
class SearchSettings:
    """How a plan is searched; what a run may set in place of the checkpoint's.

    Attributes:
        method: Method.
        rollouts: Candidates of an iteration.
        iterations: Iterations of a plan.
        first_iterations: Iterations of a plan that has none before it; 0: as any other.
        horizon: Ticks of a plan behind what is in flight.
        knots: Knots of its spline.
        spline: Kind of the spline.
        sigma: Deviation of the noise, in units of the range of actions.
        temperature: Softness of the weights, in deviations of the rewards.
        horizon_factor: Factor of the noise from a knot to the one before it, of ``dial_mpc``.
        trajectory_factor: Factor of the noise from one iteration to the next, of ``dial_mpc``.
        elites: Share of the candidates that count, of ``cem``.
        least_sigma: Deviation below which the noise never falls, of ``cem``.
        pinned: Whether the first knot stays as it is.
        predicts: Whether a plan begins with the state predicted at the moment it takes over.
        join_ticks: Ticks from the take-over on in which the plan before is still followed, as the
            controller joins chunks.
        risk: What of perturbed models counts: their mean, the worst, or ``cvar``.
        worst_share: Share of the models of which ``cvar`` takes the mean.
        gait: Gait in place of the task's, by name; empty: the task's.
        threads: Threads of the rollouts; 0: the thread that plans.
    """

    method: MethodName = "mppi"
    rollouts: int = 16
    iterations: int = 4
    first_iterations: int = 0
    horizon: int = 16
    knots: int = 5
    spline: Spline = "cubic"
    sigma: float = 0.2
    temperature: float = 0.3
    horizon_factor: float = 0.9
    trajectory_factor: float = 0.8
    elites: float = 0.2
    least_sigma: float = 0.02
    pinned: bool = False
    predicts: bool = True
    join_ticks: int = 0
    risk: Literal["mean", "worst", "cvar"] = "mean"
    worst_share: float = 0.5
    gait: str = ""
    threads: int = 0

    def __post_init__(self) -> None:
        for name, least, most in _WHOLE_NUMBERS:
            if not least <= getattr(self, name) <= most:
                raise ValueError(
                    f"{name} must be from {least} to {most}, got {getattr(self, name)}"
                )
        for name in ("horizon_factor", "trajectory_factor", "elites", "worst_share"):
            if not 0 < getattr(self, name) <= 1:
                raise ValueError(f"{name} must be in (0, 1], got {getattr(self, name)}")
        for name in ("sigma", "temperature"):
            if not 0 < getattr(self, name) <= 100:
                raise ValueError(f"{name} must be in (0, 100], got {getattr(self, name)}")
        if not 0 <= self.least_sigma <= self.sigma:
            raise ValueError(
                f"least_sigma must be from 0 to sigma = {self.sigma}, got {self.least_sigma}"
            )
        if not DEGREES[self.spline] < self.knots <= self.horizon:
            raise ValueError(
                f"knots must be more than the degree {DEGREES[self.spline]} of a {self.spline} "
                f"spline and at most the horizon of {self.horizon} ticks, got {self.knots}"
            )

    @property
    def search(self) -> Method:
        """The method with its settings."""
        if self.method == "mppi":
            return Mppi(self.sigma, self.temperature)
        if self.method == "cem":
            return Cem(self.sigma, self.elites, self.least_sigma)
        if self.method == "predictive_sampling":
            return PredictiveSampling(self.sigma)
        return DialMpc(self.sigma, self.temperature, self.horizon_factor, self.trajectory_factor)


_WHOLE_NUMBERS = (
    ("rollouts", FEWEST_ROLLOUTS, 65536),
    ("iterations", 1, 100),
    ("first_iterations", 0, 100),
    ("horizon", 2, 1000),
    ("join_ticks", 0, 100),
    ("threads", 0, 256),
)
PRESETS: Mapping[str, Mapping[str, Any]] = {
    "mppi": {},
    "cem": {"method": "cem", "sigma": 0.3},
    "predictive_sampling": {"method": "predictive_sampling"},
    "dial_mpc": {"method": "dial_mpc", "sigma": 0.3},
    "dial_mpc_released": {
        **{"method": "dial_mpc", "rollouts": 2048, "iterations": 2, "first_iterations": 10},
        **{"sigma": 1.0, "temperature": 0.05, "horizon_factor": 0.9, "trajectory_factor": 0.5},
        **{"spline": "quadratic", "pinned": True},
    },
}
"""Settings by name: those of each method for few rollouts, and those of the released DIAL-MPC."""


@dataclass(frozen=True)
class StateSource:
    """Which elements of streams are which numbers of a model's state, as ``stream/element``.

    What is empty is not observed: a position is then that of the key frame, a velocity 0. Without
    a floating body its four parts have no elements.

    Attributes:
        base_position: x, y, z of a floating body, m.
        orientation: Its quaternion w, x, y, z, or the first two columns of its rotation matrix.
        base_velocity: Its velocity, m/s.
        angular_velocity: Its rate of turn about its own axes, rad/s.
        joint_positions: Joints, in the order of the model.
        joint_velocities: Likewise.
        velocity_frame: Frame of ``base_velocity``.
    """

    base_position: tuple[str, ...] = ()
    orientation: tuple[str, ...] = ()
    base_velocity: tuple[str, ...] = ()
    angular_velocity: tuple[str, ...] = ()
    joint_positions: tuple[str, ...] = ()
    joint_velocities: tuple[str, ...] = ()
    velocity_frame: Literal["body", "world"] = "body"


@dataclass(frozen=True)
class PlannerConfig:
    """What the planner is; saved in its checkpoint.

    Attributes:
        search: How a plan is searched.
        model_sha256: Digest of ``model.xml`` in the folder.
        task_sha256: Digest of ``task.yaml`` there.
        state: What is observed of the state.
        requests: Request of the task -> element of a stream that asks for it.
        acceleration: Largest change of a request in a second, by name; others follow at once.
        solver: How rollouts are stepped.
        perturbed: Copies of the model in which each candidate is rolled out too.
        keyframe: Key frame of the model in which the robot rests.
        scale: Distance of a command from that of the key frame at the ends of its range, rad, m or
            what the actuator takes; 0: the range of the actuator.
        has_nominal: Whether the folder ``nominal`` there has the policy from whose chunk a plan
            begins.
    """

    search: SearchSettings
    model_sha256: str
    task_sha256: str
    state: StateSource
    requests: Mapping[str, str] = field(default_factory=dict)
    acceleration: Mapping[str, float] = field(default_factory=dict)
    solver: SolverSettings = field(default_factory=SolverSettings)
    perturbed: PerturbedModels = field(default_factory=PerturbedModels)
    keyframe: str = "home"
    scale: float = 0.5
    has_nominal: bool = False

    def __post_init__(self) -> None:
        if not 0 <= self.scale < float("inf"):
            raise ValueError(f"scale must not be below 0, got {self.scale}")
        if wrong := {k: v for k, v in self.acceleration.items() if not v > 0}:
            raise ValueError(f"accelerations must be above 0, got {wrong}")

    @property
    def stream_names(self) -> frozenset[str]:
        """Streams that it reads."""
        parts = (value for value in asdict(self.state).values() if not isinstance(value, str))
        elements = [*(element for part in parts for element in part), *self.requests.values()]
        return frozenset(element.partition("/")[0] for element in elements if element)


def planner_config_from(values: Mapping[str, Any]) -> PlannerConfig:
    """Return the config that ``dataclasses.asdict`` made ``values`` of, also by way of JSON.

    Raises:
        ValueError: A field is unknown, missing or breaks a rule; in one line.
    """
    known = {each.name for each in fields(PlannerConfig)}
    if unknown := sorted(set(values) - known):
        raise ValueError(f"fields {unknown} are unknown to a planner, which has {sorted(known)}")
    return validated(PlannerConfig, values)


WEIGHT = "weight_"
"""Prefix of the weight of a term among the settings of a planner."""


def split_overrides(
    overrides: Mapping[str, float | str],
) -> tuple[dict[str, float | str], dict[str, float]]:
    """Return overrides of the search and those of weights, by the name of their term.

    Raises:
        ValueError: A weight is no number.
    """
    weights = {}
    for name, value in overrides.items():
        if name.startswith(WEIGHT):
            try:
                weights[name.removeprefix(WEIGHT)] = float(value)
            except ValueError:
                raise ValueError(f"override {name}: a weight is a number, got {value!r}") from None
    rest = {name: value for name, value in overrides.items() if not name.startswith(WEIGHT)}
    return rest, weights


def overridden_search(
    search: SearchSettings, overrides: Mapping[str, float | str]
) -> SearchSettings:
    """Return the settings with some replaced; values may be text, as a command line has them.

    Raises:
        ValueError: A name is unknown, with those that are known, or a value breaks a rule.
    """
    known = [each.name for each in fields(SearchSettings)]
    if unknown := sorted(set(overrides) - set(known)):
        raise ValueError(
            f"overrides {unknown} are unknown to a planner, which has {known}, and {WEIGHT}<term>"
        )
    return validated(SearchSettings, {**asdict(search), **overrides})


def preset(name: str, changes: Mapping[str, Any]) -> SearchSettings:
    """Return the settings of a preset with some changed.

    Raises:
        ValueError: The preset is unknown.
    """
    if name not in PRESETS:
        raise ValueError(f"preset {name!r} is unknown; there are {list(PRESETS)}")
    return replace(SearchSettings(), **{**PRESETS[name], **changes})


def as_saved(config: PlannerConfig) -> dict[str, Any]:
    """Return the config as a manifest has it."""
    return asdict(config)
