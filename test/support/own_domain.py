"""A ROS domain that no other process of tests on this machine has at the same time."""

import socket

DOMAINS = range(1, 101)
"""Their UDP ports lie below those that Linux gives away by itself, and 0 is everybody's; commands
that choose a domain of their own take one above 214."""


def hold_domain(domains: range = DOMAINS) -> tuple[int, socket.socket]:
    """Return a domain and what holds it until that is closed or this process ends.

    Nothing has to be cleaned up: the names of abstract sockets live in the kernel.

    Raises:
        RuntimeError: All are held.
    """
    for domain in domains:
        holder = socket.socket(socket.AF_UNIX)
        try:
            holder.bind(f"\0ddpm_controller_test_domain_{domain}")
        except OSError:
            holder.close()
        else:
            return domain, holder
    raise RuntimeError(
        f"all ROS domains of the tests, {domains.start} to {domains.stop - 1}, are in use: "
        "end test processes that are left over"
    )
