"""A model without what no step of its physics needs: the same motion, bit for bit, for less."""

import mujoco
import numpy as np


def lean_model(mjcf: str) -> mujoco.MjModel:
    """Return the model of an MJCF text without what only shows or measures, and idle geoms.

    Geoms that touch nothing, sensors, cameras and lights are taken out; sites, joints, actuators
    and key frames stay. So does a geom that gives a body its mass, or that something names.

    Raises:
        ValueError: The text is no model.
    """
    whole = mujoco.MjModel.from_xml_string(mjcf)
    for attempt in (_without_geoms, _without_senses) if _is_in_air(whole) else (_without_senses,):
        try:
            found = attempt(mjcf).compile()
        except (ValueError, RuntimeError):  # something names what was taken out
            continue
        if all(np.array_equal(getattr(found, each), getattr(whole, each)) for each in _SAME):
            return found
    return whole


_SAME = ("body_mass", "body_inertia", "body_ipos", "body_iquat", "key_qpos", "key_ctrl")


def _is_in_air(model: mujoco.MjModel) -> bool:
    """Return whether the shape of geoms has no part in forces but those of contacts."""
    return not (model.opt.density or model.opt.viscosity or model.npair)


def _without_senses(mjcf: str) -> mujoco.MjSpec:
    spec = mujoco.MjSpec.from_string(mjcf)
    for part in (*spec.sensors, *spec.cameras, *spec.lights):
        spec.delete(part)
    return spec


def _without_geoms(mjcf: str) -> mujoco.MjSpec:
    spec = _without_senses(mjcf)
    model = spec.compile()  # gives each geom its number
    touches = (model.geom_contype != 0) | (model.geom_conaffinity != 0)
    for geom in [each for each in spec.geoms if not touches[each.id]]:
        spec.delete(geom)
    return spec
