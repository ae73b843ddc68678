"""What two robot files of the same robot must have in common."""

from ddpm_controller.robots.outputs import JOINT_STATE


def commanded(robot):
    """Which axes a base follows cannot be seen, only that it takes twists."""
    return {
        each.topic: (each.type, each.kind, each.prefix)
        + ((each.names, each.units) if each.kind != "twist" else ())
        for each in robot.outputs
    }


def observed(robot):
    """Topics with prefixes and, of joints the joints, of pictures the size."""
    return {
        (source.topic, source.prefix): (each.type, frozenset(each.spec.names))
        if each.type == JOINT_STATE
        else (each.type, each.message_size)
        for each in robot.streams
        for source in each.sources
    }
