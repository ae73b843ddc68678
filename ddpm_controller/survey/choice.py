"""What of a robot that was seen goes into its first robot file."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from ddpm_controller.robots.outputs import (
    ACTIONS,
    FLOAT64,
    JOINT_STATE,
    JOINT_TRAJECTORY,
    MULTI_ARRAY,
    TWIST,
    TWIST_STAMPED,
)
from ddpm_controller.robots.robot_description import (
    COMMANDABLE,
    DescribedJoint,
    DescriptionError,
    described_joints,
)
from ddpm_controller.survey.seen_robot import SeenCommands, SeenJoints, SeenRobot

_PREFERENCE = (
    JOINT_TRAJECTORY,
    MULTI_ARRAY,
    *sorted(ACTIONS, reverse=True),
    FLOAT64,
    JOINT_STATE,
    TWIST_STAMPED,
    TWIST,
)
"""Types of commands, the one that moves a robot most smoothly first."""
TWISTS = (TWIST, TWIST_STAMPED)
"""Types of commands whose columns are no joints."""
_GRIPPER = re.compile("grip|finger|knuckle|jaw|hand_|drive_joint|claw")


@dataclass(frozen=True)
class Output:
    """Commands that the robot file will name.

    Attributes:
        commands: As they were seen.
        names: Columns.
        doubts: What could not be seen, in words.
    """

    commands: SeenCommands
    names: tuple[str, ...]
    doubts: tuple[str, ...] = ()


@dataclass(frozen=True)
class Choice:
    """Parts of a robot file.

    Attributes:
        states: Topic of the joint states with most of the commanded joints; None: there is none.
        observed: Joints that are observed there.
        unseen: Commanded joints that it does not have.
        outputs: Commands.
        left_out: Other places where the same joints are commanded.
        described: Joints of the description; empty without one.
        doubt: Why the description cannot be read; empty: it can, or there is none.
    """

    states: SeenJoints | None
    observed: tuple[str, ...]
    unseen: tuple[str, ...]
    outputs: tuple[Output, ...]
    left_out: tuple[SeenCommands, ...]
    described: Mapping[str, DescribedJoint] = field(default_factory=dict)
    doubt: str = ""

    def is_continuous(self, joint: str) -> bool:
        """Return whether the description calls a joint continuous."""
        return joint in self.described and self.described[joint].is_continuous

    def unit(self, joint: str) -> str:
        """Return m for a prismatic joint of the description, else rad."""
        found = self.described.get(joint)
        return "m" if found is not None and found.kind == "prismatic" else "rad"


def is_gripper(joint: str) -> bool:
    """Return whether a joint is of a gripper, by its name."""
    return _GRIPPER.search(joint.lower()) is not None


def chosen(seen: SeenRobot) -> Choice:
    """Return what a first robot file names: every joint is commanded in one place."""
    described, doubt = _described(seen)
    movable = [
        name
        for name, joint in described.items()
        if joint.kind in COMMANDABLE and joint.element.find("mimic") is None
    ]
    published = [name for each in seen.joints for name in each.rates_hz]
    free = [name for name in dict.fromkeys(published) if not described or name in movable]
    outputs, left_out = _outputs(seen.commands, free or movable)
    joints = [n for each in outputs for n in each.names if each.commands.type not in TWISTS]
    states = _states(seen.joints, joints or free)
    have = states.rates_hz if states is not None else {}
    wanted = joints or free
    return Choice(
        states,
        tuple(name for name in wanted if name in have),
        tuple(name for name in joints if name not in have),
        outputs,
        left_out,
        described,
        doubt,
    )


def _described(seen: SeenRobot) -> tuple[Mapping[str, DescribedJoint], str]:
    try:
        urdf = seen.description
        return described_joints(urdf) if urdf else {}, ""
    except DescriptionError as error:
        return {}, str(error)


def _outputs(
    commands: Sequence[SeenCommands], free: Sequence[str]
) -> tuple[tuple[Output, ...], tuple[SeenCommands, ...]]:
    """Return the outputs, and what commands the same joints in another way."""
    ranked = sorted(commands, key=_rank)
    found: list[Output] = []
    left_out: list[SeenCommands] = []
    # Who names its joints goes first: what the others command is what is left then.
    for each in [*filter(_has_names, ranked), *(c for c in ranked if not _has_names(c))]:
        taken = {name for output in found for name in output.names}
        output = _output(each, [name for name in free if name not in taken])
        if output is None or taken & set(output.names):
            left_out.append(each)
        else:
            found.append(output)
    order = {name: i for i, name in enumerate(free)}
    found.sort(key=lambda output: order.get(output.names[0], len(order)))
    return tuple(found), tuple(left_out)


def _rank(commands: SeenCommands) -> tuple[bool, int, bool, str]:
    """Return where commands stand: positions, the smoothest, a known taker, by name."""
    is_known = commands.type in _PREFERENCE
    rank = _PREFERENCE.index(commands.type) if is_known else len(_PREFERENCE)
    return commands.interface != "position", rank, not commands.node, commands.topic


def _has_names(commands: SeenCommands) -> bool:
    return bool(commands.joints)


def _output(commands: SeenCommands, free: Sequence[str]) -> Output | None:
    """Return one output, with guessed joints where its own are not known; None: nothing is."""
    if commands.interface == "effort":
        return None
    if commands.type in TWISTS:
        doubt = "the parts that the base follows, of linear.x to angular.z"
        return Output(commands, ("linear.x", "angular.z"), (doubt,))
    if commands.joints:
        return Output(commands, commands.joints)
    single = commands.type in (FLOAT64, *ACTIONS)
    own = [name for name in free if name.startswith(commands.prefix)]
    fitting = [name for name in own if is_gripper(name)] if single else own
    if not fitting:
        return None
    names = tuple(fitting[:1] if single else fitting)
    doubt = "the joints and their order: what takes the commands has no parameter with them"
    return Output(commands, names, (doubt,))


def _states(topics: Sequence[SeenJoints], wanted: Sequence[str]) -> SeenJoints | None:
    """Return the topic with most of the joints, of several the one with the fastest slowest."""

    def worth(states: SeenJoints) -> tuple[int, float]:
        rates_hz = [states.rates_hz[name] for name in wanted if name in states.rates_hz]
        return len(rates_hz), min(rates_hz, default=0.0)

    best = max(topics, key=worth, default=None)
    return best if best is not None and worth(best)[0] else None
