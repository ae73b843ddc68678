"""The torch device and threads that a user asks for."""

import torch

from ddpm_controller.given_files import one_line

MOST_THREADS = 256
"""More than any machine has for one process; OpenMP ends the process where it gets none."""


def usable_device(name: str) -> torch.device:
    """Return the device ``name``, on which a number has been put.

    Raises:
        ValueError: There is no such device here.
    """
    try:
        device = torch.device(name)
        torch.zeros(1, device=device).cpu()
    except (RuntimeError, AssertionError, NotImplementedError) as error:
        reason = one_line(error, 200)
        raise ValueError(
            f"device {name!r} cannot be used ({reason}): give cpu, or a device that torch has here"
        ) from None
    return device


def use_threads(count: int) -> None:
    """Let torch compute in so many threads.

    Raises:
        ValueError: The number is none for threads.
    """
    if not 1 <= count <= MOST_THREADS:
        raise ValueError(f"torch_num_threads must be 1 to {MOST_THREADS}, got {count}")
    torch.set_num_threads(count)
