"""How often each limit changed a command."""

from collections.abc import Iterable

from ddpm_controller.control.states import LIMIT_REASONS


class LimitCounts:
    """Ticks on which each limit changed the command, by name; all names from the beginning on."""

    def __init__(self) -> None:
        self._counts = dict.fromkeys(LIMIT_REASONS, 0)

    def add(self, limited: Iterable[str]) -> None:
        """Count one tick."""
        for name in limited:
            self._counts[name] += 1

    @property
    def names(self) -> list[str]:
        """In the order of the counts."""
        return list(self._counts)

    @property
    def counts(self) -> list[int]:
        """As many as names."""
        return list(self._counts.values())
