"""Which controller may command a robot, where several are ready to."""

import time
import uuid
from dataclasses import dataclass, field
from enum import IntEnum

LEASE_S = 2.0
"""A claim that is not repeated for so long has ended: its owner has died or hangs."""
_YIELD_S = 5.0
"""Within this time one that has to yield has come to rest."""
_LATE_S = 0.5
"""So long after a claim has ended its last commands may still arrive."""


class Intent(IntEnum):
    """What a controller does about its command topic."""

    NONE = 0
    CLAIMS = 1
    COMMANDS = 2


@dataclass(frozen=True)
class Claim:
    """The claim of one controller on a command topic.

    Attributes:
        id: Unique name of its process and node.
        node: Full name of the controller.
        host: Machine that it runs on.
        pid: Process on that machine.
        since_s: System time at which it began to claim.
        intent: What it does.
    """

    id: str
    node: str
    host: str
    pid: int
    since_s: float
    intent: Intent

    @property
    def rank(self) -> tuple[bool, float, str]:
        """The lowest has the right of way: who commands, then who came first.

        Clocks of two machines may differ, so a controller in motion never yields to a new one.
        """
        return self.intent != Intent.COMMANDS, self.since_s, self.id

    def text(self, topic: str) -> str:
        """Return why it keeps others from commanding, and what to do."""
        since = time.strftime("%H:%M:%S", time.localtime(self.since_s))
        verb = "commands" if self.intent == Intent.COMMANDS else "claims"
        return (
            f"{self.node} (process {self.pid} on {self.host}) {verb} {topic} since {since}: "
            f"deactivate it first, ros2 lifecycle set {self.node} deactivate"
        )


@dataclass
class _Known:
    claim: Claim
    heard_s: float
    commands_since_s: float = field(default=-1.0)


class ClaimBook:
    """Claims of the other controllers; times are of a monotonic clock.

    Args:
        own_id: Claims with this name are left out.

    Attributes:
        id: The same.
        nodes: Full names of controllers that have ever claimed or released the topic.
    """

    def __init__(self, own_id: str = "") -> None:
        self.id = own_id or uuid.uuid4().hex
        self.nodes: set[str] = set()
        self._known: dict[str, _Known] = {}
        self._ended_s = -_LATE_S

    def note(self, claim: Claim, now_s: float) -> None:
        """Take a claim that came at ``now_s``."""
        if claim.id == self.id:
            return
        self.nodes.add(claim.node)
        before = self._known.pop(claim.id, None)
        if claim.intent == Intent.NONE:
            if before is not None:
                self._ended_s = now_s
            return
        commands_since_s = before.commands_since_s if before else -1.0
        if claim.intent != Intent.COMMANDS:
            commands_since_s = -1.0
        elif commands_since_s < 0:
            commands_since_s = now_s
        self._known[claim.id] = _Known(claim, now_s, commands_since_s)

    def rival(self, own: Claim, now_s: float) -> Claim | None:
        """Return the claim that has the right of way before ``own``; None: there is none."""
        self._forget_dead(now_s)
        claims = [each.claim for each in self._known.values()]
        if own.intent != Intent.NONE:
            claims = [claim for claim in claims if claim.rank < own.rank]
        return min(claims, key=lambda claim: claim.rank, default=None)

    def explains(self, arrived_s: float, now_s: float) -> bool:
        """Return whether a foreign command may be of a controller that yields, or has ended."""
        self._forget_dead(now_s)
        yielding = any(
            each.commands_since_s >= 0 and now_s - each.commands_since_s < _YIELD_S
            for each in self._known.values()
        )
        return yielding or arrived_s < self._ended_s + _LATE_S

    def _forget_dead(self, now_s: float) -> None:
        for name, each in list(self._known.items()):
            if now_s - each.heard_s > LEASE_S:
                del self._known[name]
