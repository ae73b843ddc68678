"""The parameters of the node `simulation`."""

from collections.abc import Sequence
from dataclasses import dataclass, fields

from ddpm_controller.ros.parameters import parameter
from ddpm_controller.simulation.worlds import WORLDS

MODES = ("real_time", "lockstep")
DRIVERS = ("controllers", "direct")
JOINT_STATES = ("together", "apart")


@dataclass(frozen=True)
class SimulationParameters:
    """Facts of one simulated robot, read once, at the start; and what it can be made to do."""

    world: str = parameter("pick_place", f"One of {list(WORLDS)}.", read_only=True)
    seed: int = parameter(0, "Seed of the first episode.", low=0, read_only=True)
    mode: str = parameter(
        "real_time",
        "real_time, or lockstep: time waits for the command of every tick.",
        read_only=True,
    )
    tick_hz: float = parameter(
        50.0, "Rate of joint states and commands, Hz.", low=1.0, high=250.0, read_only=True
    )
    camera_hz: float = parameter(
        25.0, "Rate of each camera, Hz; divides tick_hz.", low=1.0, high=250.0, read_only=True
    )
    expert: bool = parameter(
        False, "Let the scripted expert move the arm, as a controller would.", read_only=True
    )
    compressed: bool = parameter(False, "Publish the images as JPEG too.", read_only=True)
    robot: str = parameter(
        "",
        "Robot file that names topics and types of the commands; empty: that of the world.",
        read_only=True,
    )
    driver: str = parameter(
        "controllers",
        "What takes the commands in real time. controllers: each output of the robot file has "
        "one; that of a JointTrajectory accepts, refuses and interpolates as the "
        "joint_trajectory_controller of ros2_control does with default parameters, those of "
        "other types hold the last target. direct: each message is the set point at once, as in "
        "lockstep, where a command is that of its tick.",
        read_only=True,
    )
    driver_hz: float = parameter(
        500.0, "Rate of the driver's updates, Hz.", low=50.0, high=2000.0, read_only=True
    )
    step_timeout_s: float = parameter(
        10.0, "Lockstep: warn when no command has come for so long, s.", low=0.1, read_only=True
    )
    joint_states: str = parameter(
        "together",
        "together, or apart: the last joint has a publisher of its own at 30 Hz, as a gripper "
        "has, and the wheels of a base come on the same topic. Real time only.",
        read_only=True,
    )
    states_hz: float = parameter(
        0.0,
        "Rate of the joint states, Hz, on the line between two ticks and one tick late; 0: at "
        "every tick. Real time only.",
        low=0.0,
        high=1000.0,
        read_only=True,
    )
    clock_offset_s: float = parameter(
        0.0,
        "Time by which the clock of the robot's computer is ahead, s: in the stamps of its joint "
        "states and where its driver compares a command with now.",
        low=-10.0,
        high=10.0,
        read_only=True,
    )
    protective_stop: bool = parameter(
        False, "Robot in protective stop: it stays where it is, whatever it is sent."
    )
    speed_scaling: float = parameter(
        1.0,
        "Speed scaling: the share of the time by which a trajectory advances, as a slider on a "
        "teach pendant sets it; without effect on other types of commands.",
        low=0.0,
        high=1.0,
    )
    refuses: bool = parameter(
        False, "Driver that takes no command and gives no reason, as one that is not active."
    )

    def __post_init__(self) -> None:
        for name, value, allowed in (
            ("world", self.world, WORLDS),
            ("mode", self.mode, MODES),
            ("driver", self.driver, DRIVERS),
            ("joint_states", self.joint_states, JOINT_STATES),
        ):
            if value not in allowed:
                raise ValueError(f"parameter {name} must be one of {list(allowed)}, got {value!r}")
        if 0 < self.states_hz < 1:
            raise ValueError(f"parameter states_hz must be 0 or at least 1, got {self.states_hz}")
        of_time = ("joint_states", "states_hz")
        of_drivers = ("clock_offset_s", "protective_stop", "speed_scaling", "refuses")
        if self.mode == "lockstep":
            self._refuse_changed((*of_time, *of_drivers), "mode real_time")
        if self.expert or self.driver == "direct":
            self._refuse_changed(of_drivers, "a driver that is not direct, and no expert")

    def _refuse_changed(self, names: Sequence[str], needed: str) -> None:
        """Refuse parameters that would be without effect."""
        defaults = {each.name: each.default for each in fields(self)}
        for name in names:
            if getattr(self, name) != defaults[name]:
                raise ValueError(
                    f"parameter {name} needs {needed}; mode is {self.mode}, driver "
                    f"{self.driver}, expert {self.expert}"
                )
