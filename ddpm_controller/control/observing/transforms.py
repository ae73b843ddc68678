"""Frames and the transforms between them, as robots publish them on tf: the newest that fits.

A frame has one parent. A transform between two frames is put together from the links on the way
between them, at the latest moment that every moving link is known for; between two messages a
link is interpolated. So it is a function of the messages alone, the same live and from a bag.
"""

import math
from bisect import bisect_left
from collections.abc import Iterator
from dataclasses import dataclass, field

from ddpm_controller.control.observing.rotations import (
    IDENTITY,
    Quaternion,
    Vector,
    between,
    inverse,
    product,
    rotated,
)

KEPT_S = 10.0
"""History of a link, as long as that of tf2."""
_MOST_LINKS = 200
"""A chain that is longer is a loop, or a mistake."""


class TransformError(ValueError):
    """Frames that form a loop."""


@dataclass(frozen=True)
class Transform:
    """Where a frame is in another one.

    Attributes:
        translation: Its origin, m.
        rotation: Its orientation.
    """

    translation: Vector = (0.0, 0.0, 0.0)
    rotation: Quaternion = IDENTITY

    def then(self, inner: "Transform") -> "Transform":
        """Return where a frame is that is at ``inner`` in this one."""
        offset = rotated(self.rotation, inner.translation)
        x, y, z = (a + b for a, b in zip(self.translation, offset, strict=True))
        return Transform((x, y, z), product(self.rotation, inner.rotation))

    def inverse(self) -> "Transform":
        """Return where the other frame is in this one."""
        back = inverse(self.rotation)
        x, y, z = rotated(back, self.translation)
        return Transform((-x, -y, -z), back)


@dataclass
class _Link:
    """One frame in its parent; a static one has a single transform, which holds at any moment."""

    parent: str
    is_static: bool
    stamps_s: list[float] = field(default_factory=list)
    transforms: list[Transform] = field(default_factory=list)

    def add(self, stamp_s: float, transform: Transform) -> None:
        if self.is_static:
            self.stamps_s, self.transforms = [stamp_s], [transform]
            return
        place = bisect_left(self.stamps_s, stamp_s)
        if place < len(self.stamps_s) and self.stamps_s[place] == stamp_s:
            return  # the first one holds, as in tf2: what was looked up stays true
        self.stamps_s.insert(place, stamp_s)
        self.transforms.insert(place, transform)
        old = bisect_left(self.stamps_s, self.stamps_s[-1] - KEPT_S)
        del self.stamps_s[:old], self.transforms[:old]

    def at(self, moment_s: float) -> Transform | None:
        """Return the transform at a moment up to the newest; None before the oldest."""
        if self.is_static:
            return self.transforms[0]
        after = bisect_left(self.stamps_s, moment_s)
        if after < len(self.stamps_s) and self.stamps_s[after] == moment_s:
            return self.transforms[after]
        if not 0 < after < len(self.stamps_s):
            return None
        begin_s, end_s = self.stamps_s[after - 1 : after + 1]
        first, second = self.transforms[after - 1 : after + 1]
        share = (moment_s - begin_s) / (end_s - begin_s)
        x, y, z = (
            a + share * (b - a) for a, b in zip(first.translation, second.translation, strict=True)
        )
        return Transform((x, y, z), between(first.rotation, second.rotation, share))


class TransformBuffer:
    """What has been published of frames."""

    def __init__(self) -> None:
        self._links: dict[str, _Link] = {}

    @property
    def frames(self) -> list[str]:
        """All frames that have come, sorted."""
        return sorted({*self._links, *(link.parent for link in self._links.values())})

    def add(
        self, parent: str, child: str, stamp_s: float, transform: Transform, *, is_static: bool
    ) -> None:
        """Take where ``child`` is in ``parent``; with another parent than before it has moved."""
        link = self._links.get(child)
        if link is None or (link.parent, link.is_static) != (parent, is_static):
            link = self._links[child] = _Link(parent, is_static)
        link.add(stamp_s, transform)

    def forget_moving(self) -> None:
        """Forget the links that move, as after a jump of the clock."""
        self._links = {child: link for child, link in self._links.items() if link.is_static}

    def way(self, parent: str, child: str) -> list[str]:
        """Return the frames whose links lie between two; those without a link, where they part.

        Raises:
            TransformError: The frames form a loop.
        """
        ways = self._ways(parent, child)
        if ways is None:
            return [list(self._above(frame))[-1] for frame in (parent, child)]
        up, down = ways
        return up + down

    def newest(self, parent: str, child: str) -> tuple[float, Transform] | None:
        """Return where ``child`` is in ``parent`` at the latest moment that is known, and that.

        The moment is infinite where all links between them are static. None while they are not
        connected, or one link has not come for the newest moment of another.

        Raises:
            TransformError: The frames form a loop.
        """
        ways = self._ways(parent, child)
        if ways is None:
            return None
        up, down = ways
        moving = [self._links[each] for each in up + down if not self._links[each].is_static]
        moment_s = min((link.stamps_s[-1] for link in moving), default=math.inf)
        inner, outer = self._joined(up, moment_s), self._joined(down, moment_s)
        if inner is None or outer is None:
            return None
        return moment_s, outer.inverse().then(inner)

    def _ways(self, parent: str, child: str) -> tuple[list[str], list[str]] | None:
        """Return the frames from ``child`` and from ``parent`` up to below the one above both."""
        up, down = list(self._above(child)), list(self._above(parent))
        common = next((frame for frame in up if frame in down), None)
        if common is None:
            return None
        return up[: up.index(common)], down[: down.index(common)]

    def _above(self, frame: str) -> Iterator[str]:
        """Yield a frame, its parent, the parent of that, and so on."""
        seen = [frame]
        yield frame
        while frame in self._links:
            frame = self._links[frame].parent
            if frame in seen or len(seen) > _MOST_LINKS:
                chain = " -> ".join([*seen[seen.index(frame) if frame in seen else 0 :], frame])
                raise TransformError(
                    f"frames form a loop, each in the next: {chain}; end the node that publishes "
                    "one of them"
                )
            seen.append(frame)
            yield frame

    def _joined(self, frames: list[str], moment_s: float) -> Transform | None:
        """Return where the first frame is in the parent of the last one."""
        found = Transform()
        for frame in frames:
            link = self._links[frame].at(moment_s)
            if link is None:
                return None
            found = link.then(found)
        return found
