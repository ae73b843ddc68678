"""The pusher of PushT as a URDF: two prismatic joints that carry a disc over the board."""

from ddpm_controller.simulation.pusht.pusht_block import METRES_PER_PIXEL, PUSHER_NAMES

BOARD_M = 512 * METRES_PER_PIXEL
"""Width and height of the board."""
PUSHER_RADIUS_M = 15 * METRES_PER_PIXEL
MAX_SPEED_M_S = 5.0
"""Above all speeds in the demonstrations, so that a filter that keeps to it changes nothing."""

_TEMPLATE = """<?xml version="1.0"?>
<robot name="pusht">
  <link name="board" />
{joints}  <link name="{x}_link" />
  <link name="{y}_link">
    <visual>
      <geometry>
        <cylinder radius="{radius:g}" length="0.02" />
      </geometry>
    </visual>
  </link>
</robot>
"""
_JOINT = """  <joint name="{name}" type="prismatic">
    <parent link="{parent}" />
    <child link="{name}_link" />
    <axis xyz="{axis}" />
    <limit lower="0.0" upper="{upper:g}" velocity="{velocity:g}" effort="100" />
  </joint>
"""


def pusht_description() -> str:
    """Return the URDF text, with limits of position and velocity for both joints.

    The frame ``board`` lies in the upper left corner of the picture: x right, y down, m.
    """
    x, y = PUSHER_NAMES
    chain = ((x, "board", "1 0 0"), (y, f"{x}_link", "0 1 0"))
    joints = "".join(
        _JOINT.format(name=name, parent=parent, axis=axis, upper=BOARD_M, velocity=MAX_SPEED_M_S)
        for name, parent, axis in chain
    )
    return _TEMPLATE.format(joints=joints, x=x, y=y, radius=PUSHER_RADIUS_M)
