"""A compiled model and its renderer, which worlds of one kind may share."""

import weakref
from typing import Any

import mujoco
import numpy as np


class Scene:
    """A compiled model and the renderer for it.

    The renderer is made at the first picture and belongs to the thread that took it. Pictures
    have the size of the model's off-screen buffer.

    Args:
        mjcf: A complete MJCF document.
    """

    def __init__(self, mjcf: str) -> None:
        self.model = mujoco.MjModel.from_xml_string(mjcf)
        self._renderer: mujoco.Renderer | None = None
        self._closing: weakref.finalize[..., Any] | None = None

    def render(self, state: mujoco.MjData, camera: str) -> np.ndarray:
        """Return a picture (H, W, 3) uint8, RGB.

        Raises:
            RuntimeError: No OpenGL for off-screen rendering; the text names what to install.
        """
        if self._renderer is None:
            self._renderer = self._open_renderer()
            # Also at exit: left to the interpreter, OpenGL is gone before the renderer is.
            self._closing = weakref.finalize(self, self._renderer.close)
        self._renderer.update_scene(state, camera=camera)
        return np.array(self._renderer.render())

    def close(self) -> None:
        """Free the OpenGL context."""
        if self._closing is not None:
            self._closing()
        self._renderer, self._closing = None, None

    def _open_renderer(self) -> mujoco.Renderer:
        size = self.model.vis.global_
        try:
            renderer = mujoco.Renderer(self.model, size.offheight, size.offwidth)
        except Exception as error:  # each OpenGL backend fails with a type of its own
            raise RuntimeError(
                f"off-screen rendering failed ({error}); install EGL (libegl1 libegl-mesa0) and "
                "set MUJOCO_GL=egl, or OSMesa (libosmesa6) and MUJOCO_GL=osmesa"
            ) from error
        renderer.scene.flags[mujoco.mjtRndFlag.mjRND_SHADOW] = 0
        renderer.scene.flags[mujoco.mjtRndFlag.mjRND_REFLECTION] = 0
        return renderer
