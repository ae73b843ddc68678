"""Why a picture is refused."""


class ImageError(ValueError):
    """A picture is not what the robot file names, or cannot be decoded."""
