"""The two cameras of the arm: where they are."""

from ddpm_controller.simulation.camera import CameraSpec

CAMERAS = (
    # In front of the table, looking back at the arm: the hand is behind what it reaches for.
    CameraSpec("camera_fixed", "world", (0.80, 0.0, 0.80), (0.385, 0.0, 0.03), (0, 0, 1), 0.58),
    # Beside the tool axis, so that it sees both finger tips and what is below them.
    CameraSpec(
        "camera_wrist", "wrist_roll_link", (0.085, 0, -0.05), (0.01, 0, -0.18), (1, 0, 0), 1.35
    ),
)
