"""What was decided in a recorded run, moment by moment.

It is in the recording and is not decided again: who decided and who moved may have been two
processes, which looked at different moments.
"""

import bisect
from dataclasses import replace

from ddpm_controller.control.deployment import Deployment
from ddpm_controller.control.moving.cartesian_box import box_guard
from ddpm_controller.control.moving.motion_loop import Order
from ddpm_controller.control.moving.safety import JointLimits
from ddpm_controller.control.planning.chunk_check import chunk_verdict
from ddpm_controller.control.states import Reason, State, Verdict
from ddpm_controller.replay.plans import Difference
from ddpm_controller.replay.recorded_run import RecordedChunk, RecordedRun
from ddpm_controller.robots.loop_settings import loop_settings
from ddpm_controller.types import ActionChunk

_SAME_MOMENT_S = 1e-6


class RecordedDecisions:
    """Orders that the recorded chunks and statuses were.

    Args:
        run: Recording.
        limits: Limits of its joints.
        deployment: Parameters of its controller.

    Attributes:
        settings: Settings of its loop.
        limits: As given.
    """

    def __init__(self, run: RecordedRun, limits: JointLimits, deployment: Deployment) -> None:
        self._run, self.limits = run, limits
        self._takeovers = {_microseconds(chunk.takeover_s): chunk for chunk in run.chunks}
        self._first_takeover_s = min(chunk.takeover_s for chunk in run.chunks)
        self._status_stamps_s = [status.stamp_s for status in run.statuses]
        self.settings = loop_settings(run.robot, None, deployment, limits=limits)
        self._guard = box_guard(limits)
        stricter = stricter_limits(run)
        self._stricter = {_microseconds(stamp_s): each for stamp_s, each in stricter.items()}
        self._waiting: ActionChunk | None = None

    def forget(self) -> None:
        """Drop a chunk that no order has had yet."""
        self._waiting = None

    def order(self, now_s: float) -> Order:
        """Return the order of a recorded tick, with a chunk that was taken over by then."""
        taken = self._takeovers.get(_microseconds(now_s))
        if taken is not None:
            chunk = self._chunk(taken)
            self._waiting = replace(chunk, start_s=chunk.start_s - self.settings.lead_s)
        order = Order(self._verdict(now_s), limits=self._stricter.get(_microseconds(now_s)))
        if order.verdict.state == State.RUNNING:
            order, self._waiting = replace(order, chunk=self._waiting), None
        return order

    def takes_over(self, after_s: float, until_s: float) -> bool:
        """Whether a plan is taken over after ``after_s`` and not after ``until_s``."""
        return any(after_s < chunk.takeover_s <= until_s for chunk in self._run.chunks)

    def is_running(self, moment_s: float) -> bool:
        """Whether a chunk was followed at ``moment_s``."""
        return self._verdict(moment_s).state == State.RUNNING

    def lacks_chunk(self, moment_s: float) -> bool:
        """Whether a chunk was followed at ``moment_s`` that came before the first one in the bag.

        A recorder finds one topic after another, on a busy machine seconds apart.
        """
        return moment_s < self._first_takeover_s - _SAME_MOMENT_S and self.is_running(moment_s)

    def refused(self, now_s: float) -> Difference | None:
        """Return that the plan which was taken over at ``now_s`` should have been refused.

        An approach is no plan, and a controller that recorded no tolerance had none.
        """
        taken = self._takeovers.get(_microseconds(now_s))
        if taken is None or not taken.checkpoint_hash:
            return None
        known = "chunk_velocity_tolerance" in self._run.parameters
        verdict = chunk_verdict(
            self._chunk(taken),
            taken.requested_s,
            self._run.robot.action_spec,
            self.limits,
            self.settings.tolerance if known else None,
            self._guard,
        )
        if not verdict.problem:
            return None
        where = f"plan {taken.plan_number} (taken over at {now_s:.3f} s)"
        text = f"{where} should have been refused, {verdict.problem}"
        return Difference(text, "all", 0.0, float("nan"))

    def _verdict(self, now_s: float) -> Verdict:
        """Return the newest status; one is published at every change."""
        newest = bisect.bisect_right(self._status_stamps_s, now_s) - 1
        if newest < 0:
            return Verdict(State.WAITING)
        return self._run.statuses[newest].verdict

    def _chunk(self, chunk: RecordedChunk) -> ActionChunk:
        period_s = self._run.robot.action_spec.period_s
        return ActionChunk(chunk.start_s, period_s, chunk.joint_names, chunk.rows)


def stricter_limits(run: RecordedRun) -> dict[float, JointLimits]:
    """Return tick -> limits to which the motion of a run slowed down from then on."""
    before = [Reason.NONE, *(each.verdict.reason for each in run.statuses)]
    begins_s = [
        each.stamp_s
        for reason, each in zip(before, run.statuses, strict=False)
        if each.verdict.reason == Reason.LIMIT_STRICTER != reason
    ]
    if not begins_s or not run.described:
        return {}
    limits, came = run.described[0], list[JointLimits]()
    names = run.robot.action_spec.joint_names
    for each in run.described[1:]:
        if limits.stricter_in(each, names):
            limits = limits.strictest(each)
            came.append(limits)
    return dict(zip(begins_s, came, strict=False))


def limits_of(run: RecordedRun) -> JointLimits | None:
    """Return the limits with which the motion of a run began; None: none were recorded.

    The newest, unless stricter ones came while it moved.
    """
    return run.described[0] if stricter_limits(run) else run.limits


def _microseconds(moment_s: float) -> int:
    return round(1e6 * moment_s)
