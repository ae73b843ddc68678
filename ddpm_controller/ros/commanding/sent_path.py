"""What the command process has sent, by its own word, for another one to continue from."""

from collections import deque
from dataclasses import replace

from ddpm_controller.control.moving.motion_loop import Sent
from ddpm_controller.control.moving.stream_settings import StreamSettings
from ddpm_controller.ros.commanding.command_messages import Told


class SentPath:
    """The newest points of what was sent, as many as a trajectory repeats.

    Args:
        stream: Form of the trajectories; None: commands are single points, of which the last
            counts.
        period_s: Time between ticks.
    """

    def __init__(self, stream: StreamSettings | None, period_s: float) -> None:
        self._kept_s = 0.0
        if stream is not None:
            self._kept_s = stream.past_s + stream.lead_s + 2 * period_s
        self._points = deque[Sent]()

    def note(self, told: Told) -> None:
        """Note what a report contains."""
        sent = told.sent
        if sent is None or not told.follows:
            self._points.clear()
        if sent is None:
            return
        for each in (*sent.before, replace(sent, before=())):
            if not self._points or each.stamp_s > self._points[-1].stamp_s:
                self._points.append(each)
        oldest_s = sent.stamp_s - self._kept_s
        while len(self._points) > 1 and self._points[1].stamp_s <= oldest_s:
            self._points.popleft()

    def forget(self) -> None:
        """Forget all: the robot rests."""
        self._points.clear()

    @property
    def sent(self) -> Sent | None:
        """The end of what was sent, with the points before it; None: nothing, or it is over."""
        if not self._points:
            return None
        *before, last = self._points
        return replace(last, before=tuple(before))
