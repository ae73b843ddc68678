"""What a zygote runs that forks the processes that command and stand by.

It imports all that they need but rclpy, whose libraries start threads of LTTng: a process with
threads must not fork.
"""

import contextlib
import gc
import os
import signal
import socket
import sys

from rosidl_generator_py import import_type_support

import ddpm_controller.control.moving.leading_motion
import ddpm_controller.ros.commanding.command_messages
from ddpm_controller.ros.commanding.zygote import ENDED_WELL, call_itself, forks
from ddpm_controller.ros.output_messages import MESSAGES

__all__ = ["ddpm_controller", "main"]


def main() -> int:
    """Run the zygote, and each process that it forks; the first argument is its socket."""
    for number in (signal.SIGINT, signal.SIGTERM):
        # Both mean the controller, which stops the robot and then lets go of this process.
        signal.signal(number, signal.SIG_IGN)
    call_itself("zygote")
    for package in (
        "ddpm_msgs",
        *(kind.__module__.split(".")[0] for kind, _ in MESSAGES.values()),
    ):
        import_type_support(package)
    gc.collect()
    gc.freeze()  # a collection would write to what is shared
    forked = forks(socket.socket(fileno=int(sys.argv[1])))
    if forked is None:
        return 0
    from ddpm_controller.ros.commanding.command_process import command

    link, life = forked
    command(link)
    with contextlib.suppress(BrokenPipeError):  # the controller has ended before
        os.write(life, ENDED_WELL)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
