"""One activation of the controller: everything that happens on its control thread."""

import math
import threading
import time
from collections import deque
from collections.abc import Callable
from functools import partial

from ddpm_controller.control.loop import ControlLoop
from ddpm_controller.control.loop_settings import PolicyTerms
from ddpm_controller.control.observing.stream_rules import StreamHealth
from ddpm_controller.control.plan_request import PlanRequest
from ddpm_controller.control.states import Reason, State
from ddpm_controller.ros.commanding.commanding import Commanding, Done
from ddpm_controller.ros.controller.planner import PlanAnswer, Planner
from ddpm_controller.ros.controller.policy_loader import LoadedPolicy
from ddpm_controller.ros.controller.policy_run import Outcome, PolicyRun
from ddpm_controller.ros.controller.report import ControlReport
from ddpm_controller.ros.controller.smooth_stop import SmoothStop
from ddpm_controller.ros.neighbours.claims import Intent

_PATIENCE_S = 1.0


class ControlSession:
    """Drives a control loop, a planner and, while there is a goal, its run.

    Only ``post``, ``wake``, ``abort`` and ``collect_with`` may be used from other threads: an
    order that was posted is carried out on the control thread before its next tick.

    Args:
        loop: Pure; knows neither threads nor messages.
        planner: Makes the plans.
        report: Tells what happens.
        commanding: Sends the commands.
        run_on_activate: Follow the policy without a goal too.
        lockstep: A tick waits for what is due.
        stop_s: How long the loop takes to stop.
        terms_of: Policy -> the terms on which the loop plans with it.
        loaded: The policy to begin with; None: there is none.
        seed: Seed of the denoising noise, where no goal names one.
        log: Receiver of sentences, and of what becomes of a state when another policy comes.

    Attributes:
        loop: As given.
        report: As given.
        loaded: The policy that plans; set on the control thread alone.
        has_sent: Whether the newest tick has sent a command, even if it failed behind that.
    """

    def __init__(
        self,
        loop: ControlLoop,
        planner: Planner,
        report: ControlReport,
        commanding: Commanding,
        *,
        run_on_activate: bool,
        lockstep: bool,
        stop_s: float,
        terms_of: Callable[[LoadedPolicy], PolicyTerms],
        loaded: LoadedPolicy | None = None,
        seed: int = 0,
        log: Callable[[str], object] = lambda text: None,
    ) -> None:
        self.loop, self.report, self.loaded = loop, report, loaded
        self._planner, self._commanding_by = planner, commanding
        self._always, self._lockstep = run_on_activate, lockstep
        self._orders: deque[Callable[[], object]] = deque()
        self._changed = threading.Event()
        self._collect: Callable[[], None] = lambda: None
        self._aborted = self.has_sent = False
        self._sentences: dict[str, str] = {}
        self._run: PolicyRun | None = None
        self._answers: dict[tuple[int, int], PlanAnswer] = {}  # by what _number returns
        self._commanding = run_on_activate
        self._stop = SmoothStop(stop_s)
        self._terms_of, self._log = terms_of, log
        self._seed = self._default_seed = seed
        self._start_loop(self._default_seed)

    # From any thread

    def post(self, order: Callable[[], object]) -> None:
        """Let the control thread call ``order`` before its next tick."""
        self._orders.append(order)
        self._changed.set()

    def collect_with(self, collect: Callable[[], None]) -> None:
        """Let the control thread call ``collect`` before each tick; it may ``post``."""
        self._collect = collect

    def wake(self) -> None:
        """Let the control thread look again, when it waits."""
        self._changed.set()

    def wait(self, end_s: float) -> bool:
        """Wait until ``end_s``, monotonic time; return whether a tick cannot wait so long."""
        return self._commanding_by.wait(end_s)

    def miss(self, ticks: int) -> None:
        """Note that the control thread has left out ticks."""
        self._commanding_by.miss(ticks)

    def abort(self) -> None:
        """Let a tick in lockstep give up waiting, for good."""
        self._aborted = True
        self._changed.set()

    @property
    def intent(self) -> Intent:
        """What it does about the command topic, as far as it has reported."""
        if self.report.status.state in (State.RUNNING, State.HOLDING):
            return Intent.COMMANDS
        yields = bool(self.loop.right_of_way.other_commander)
        return Intent.CLAIMS if self._commanding and not yields else Intent.NONE

    # Orders, on the control thread

    def use(self, loaded: LoadedPolicy, done: Callable[[str], None]) -> None:
        """Plan with ``loaded`` from the next plan on; then call ``done`` with the error, if any.

        What a policy itself may raise comes first: after an error the one before plans on.
        """
        try:
            self._take_policy(loaded)
        except Exception as error:  # whoever has asked must have an answer
            done(f"{loaded.folder}: {type(error).__name__}: {error}")
            return
        done("")

    def _take_policy(self, loaded: LoadedPolicy) -> None:
        before, facts = self.loaded, loaded.policy.facts
        terms = self._terms_of(loaded)
        is_same = before is not None and before.hash == loaded.hash
        if before is not None and is_same and _remembers_alike(before, loaded):
            # Its plans continue, for replay too.
            self.loop.use_policy(terms, None)
            self.loaded = loaded
            return
        kinds = before.policy.facts.memory_kind if before else "", facts.memory_kind
        keeps = kinds[0] == kinds[1] != ""
        memory = loaded.policy.initial_memory(self._seed)
        self.loop.use_policy(terms, memory, keeps_memory=keeps)
        self.loaded = loaded
        if any(kinds):
            what = "is kept" if keeps else "is reset"
            self._log(f"the state {what}: memory {kinds[0]!r} before, {kinds[1]!r} now")

    def hear(self, name: str, sentence: str) -> None:
        """Note the sentence of a stream, for the log and for errors."""
        if self._sentences.get(name) != sentence:
            self._log(f"{name}: {sentence!r}")
        self._sentences[name] = sentence

    def begin_run(self, run: PolicyRun) -> None:
        """Begin a run with its own seed; one that runs is stopped."""
        self.end_run(Outcome.STOPPED, "another run began")
        self._stop.finish()
        self._run = run
        self._start_loop(run.seed, run.not_before_s)
        self.report.begin()
        self._commanding = True

    def end_run(self, outcome: Outcome, message: str, only: PolicyRun | None = None) -> None:
        """End the run in progress, or ``only`` that one, after the robot has stopped."""
        run = self._run
        if run is None or (only is not None and run is not only):
            return
        self._run = None
        end = partial(run.end, outcome, message)
        if self._always:
            end()
        else:
            self.come_to_rest(partial(self._be_quiet, end))

    def reset(self, done: Callable[[], None]) -> None:
        """Stop, forget everything and begin again."""
        self.end_run(Outcome.STOPPED, "the controller was reset")
        self._stop.finish()
        self.come_to_rest(partial(self._begin_again, done))

    def come_to_rest(self, then: Callable[[], None]) -> None:
        """Stop smoothly, then call ``then``; at once where time would not advance."""
        self._stop.finish()
        if self._lockstep or not self._commanding or self.report.status.state == State.WAITING:
            then()
            return
        self.loop.stop()
        self._stop.begin(then, self.loop.longest_stop_s)

    def finish(self, then: Callable[[], None]) -> None:
        """Stop for good, end the run and call ``then``."""
        run, self._run = self._run, None
        if run is not None:
            run.end(Outcome.STOPPED, "the controller was deactivated")
        self._stop.finish()
        self.come_to_rest(partial(self._be_quiet, then))

    def close(self) -> None:
        """End what is in progress without waiting for it; the thread has ended."""
        self.obey()
        self._stop.finish()
        run, self._run = self._run, None
        self._commanding = False
        self._commanding_by.rest()
        if run is not None:
            run.end(Outcome.STOPPED, "the controller was deactivated")

    # Ticks, on the control thread

    def obey(self) -> None:
        """Take what has come, carry out the orders that were left, collect finished plans."""
        self._collect()
        for _ in range(len(self._orders)):
            self._orders.popleft()()
        while (answer := self._planner.collect()) is not None:
            self._take(answer)

    def step(self, now_s: float) -> None:
        """One tick in real time: nothing here waits."""
        self.has_sent = False
        self.obey()
        self._end_in_time(now_s)
        if not self._commanding:
            self.loop.advance(now_s)  # the streams are compared with this time between runs too
            self._tell(self._commanding_by.rest(), now_s)
            if self._commanding_by.is_quiet:
                self.report.idle(now_s, self._streams(now_s))
            return
        self._command(now_s)
        self._submit(now_s)
        self._stop.tick(now_s, self._commanding_by.is_at_rest)

    def step_in_lockstep(self, now_s: float) -> bool:
        """One tick for which everything due is awaited; return whether a command was sent."""
        self.has_sent = False
        self.obey()
        if not self.wants(now_s):
            self.report.idle(now_s, self._streams(now_s))
            return False
        self.loop.advance(now_s)
        run = self._run
        if not self._await(lambda: self.loop.late_streams(now_s), now_s, run):
            return False
        self._end_in_time(now_s)
        if self._run is not run:
            return False
        self._submit(now_s)
        if not self._await(self._missing_plan, now_s, run):
            return False
        return self._command(now_s)

    def stand_still(self, now_s: float, text: str) -> None:
        """Report, when there is a ``text``, that time does not advance; nothing is sent."""
        self.has_sent = False
        self.obey()
        if text:
            streams = self._streams(now_s)
            self.report.tell(now_s, State.WAITING, Reason.CLOCK_JUMP, text, streams)

    def repeat(self) -> None:
        """Send the last command again where its stamp makes that harmless."""
        if self._commanding:
            self._commanding_by.repeat()

    def wants(self, now_s: float) -> bool:
        """Return whether a command is due at ``now_s``."""
        return self._commanding and (self._run is None or now_s >= self._run.not_before_s)

    def sleep(self, seconds: float) -> None:
        """Wait until something was posted, at most ``seconds``."""
        self._changed.wait(seconds)
        self._changed.clear()

    # Parts

    def _start_loop(
        self, seed: int, not_before_s: float | None = None, keep_position: bool = False
    ) -> None:
        self._seed = seed
        self.report.begin_run(seed)
        loaded = self.loaded
        memory = loaded.policy.initial_memory(seed) if loaded else None
        self.loop.start(memory, not_before_s=not_before_s, keep_position=keep_position)

    def _begin_again(self, done: Callable[[], None]) -> None:
        # In lockstep the streams that are not due at this tick do not deliver again.
        not_before_s = -math.inf if self._lockstep else None
        self._start_loop(self._default_seed, not_before_s, keep_position=True)
        self.loop.schedule.memory.note_reset("asked for by the service reset")
        done()

    def _be_quiet(self, end: Callable[[], None]) -> None:
        self._commanding = False
        end()

    def _end_in_time(self, now_s: float) -> None:
        if self._run is None:
            return
        if self._run.is_over(now_s):
            self.end_run(Outcome.TIMEOUT, f"not done after {self._run.timeout_s:g} s")
        elif other := self.loop.right_of_way.other_commander:
            self.end_run(Outcome.STOPPED, other)

    def _command(self, now_s: float) -> bool:
        done = self._commanding_by.step(now_s)
        self.has_sent = any(each.command.position is not None for each in done)
        self._tell(done, now_s)
        return self.has_sent

    def _tell(self, done: list[Done], now_s: float) -> None:
        self.report.note_state(self.loop)
        for each in done:
            takeover = each.command.takeover
            self.report.sent(each)
            answer = self._answer_of(takeover.request) if takeover else None
            if answer is not None:
                self.report.took_over(each.command, answer)
                if self._run is not None:
                    self._run.plans += 1
            self.report.tick(each.command, self._streams(now_s))

    def _answer_of(self, request: PlanRequest) -> PlanAnswer | None:
        """Return the answer to ``request``, once, and forget those before it.

        The command process may report a plan when the next one has come: that one is kept.
        """
        taken = _number(request)
        answer = self._answers.pop(taken, None)
        self._answers = {n: each for n, each in self._answers.items() if n > taken}
        return answer

    def _submit(self, now_s: float) -> None:
        request = self.loop.plan_request(now_s)
        if request is not None and self.loaded is not None:
            self._planner.submit(self.loaded, request)

    def _take(self, answer: PlanAnswer) -> None:
        self.loop.schedule.note_time(answer.request, answer.inference_time_s, answer.relative_cost)
        self.report.answered(self.loop.schedule.plan_cost)
        if answer.plan is None:
            self.loop.fail(answer.request, self._with_sentence(answer.error))
        elif not self.loop.accept(answer.plan, answer.request):
            self._answers[_number(answer.request)] = answer
            self.report.accepted(answer, self.loop)

    def _with_sentence(self, error: str) -> str:
        """Return an error about a goal with the sentence that it was made from."""
        meant = [text for name, text in self._sentences.items() if f"goal {name!r}" in error]
        return f"{error}; the sentence was: {meant[0]!r}" if meant else error

    def _missing_plan(self) -> list[str]:
        return ["a plan"] if self.loop.schedule.awaits_plan else []

    def _await(
        self, missing: Callable[[], list[str]], now_s: float, run: PolicyRun | None
    ) -> bool:
        """Wait until nothing is missing; False when the tick is not needed any more."""
        began_s = told_s = time.monotonic()
        while names := missing():
            self.sleep(0.05)
            self.obey()
            if self._aborted or self._run is not run or not self._commanding:
                return False
            if time.monotonic() - told_s > _PATIENCE_S:
                told_s = time.monotonic()
                text = f"lockstep: waited {told_s - began_s:.0f} s for {', '.join(names)}"
                verdict = self.loop.decide(now_s)
                streams = self._streams(now_s)
                self.report.tell(now_s, verdict.state, verdict.reason, text, streams)
        return True

    def _streams(self, now_s: float) -> dict[str, StreamHealth]:
        return self.loop.watch.healths(now_s)


def _remembers_alike(before: LoadedPolicy, loaded: LoadedPolicy) -> bool:
    """Return whether one can continue from what the other remembers."""
    return before.policy.facts.memory_kind == loaded.policy.facts.memory_kind


def _number(request: PlanRequest) -> tuple[int, int]:
    """Return what orders requests over all runs: plans are counted from 0 in each."""
    return request.epoch, request.plan_number
