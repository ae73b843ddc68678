"""Whether what has been observed may be acted on: complete, fresh, valid and moving."""

import math
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from ddpm_controller.control.observing.observation_buffer import (
    NEVER_S,
    ObservationBuffer,
    ObservationError,
    OutOfOrderError,
)
from ddpm_controller.control.observing.plausible_joints import PlausibleJoints
from ddpm_controller.control.observing.stream_filter import StreamFilter
from ddpm_controller.control.observing.stream_rules import (
    MOTION,
    FrozenImage,
    StreamHealth,
    StreamRule,
    StreamStatistics,
)
from ddpm_controller.control.states import Reason, State, Verdict
from ddpm_controller.types import ActionSpec, Measuring, Observation, StreamSpec, measuring

LEAP_S = 1.0
"""The time has leapt when two ticks are further apart than this."""
_PROMPT_S = 0.05
"""An arrival later than its stamp by less than this is not worth a word: a tick may be in it."""
_REASONS = (
    Reason.INVALID_OBSERVATION,
    Reason.NO_OBSERVATION,
    Reason.STALE_OBSERVATION,
    Reason.FROZEN_IMAGE,
)
"""Order in which problems are reported."""


@dataclass(frozen=True)
class _Refusal:
    """Why a message was refused, and which elements (D,) no good one has brought since."""

    text: str
    elements: np.ndarray


class ObservationWatch:
    """A buffer, and what is wrong with its streams.

    Args:
        streams: What is observed.
        max_ages_s: Stream name -> age beyond which it is stale.
        action_spec: What is commanded; vector streams must measure it.
        max_lead_s: A stamp further ahead of the last tick than this is refused.
        filters: As ``ObservationBuffer``; what is measured for safety stays as it came.
        rules: Stream name -> how it is looked at; none: as a ``StreamRule`` by default.

    Attributes:
        buffer: The values.
        measuring: Names of the streams that measure the commanded joints.
        joints: What these joints can have been measured at.

    Raises:
        ValueError: No stream measures the commanded joints, or it is to be masked.
    """

    def __init__(
        self,
        streams: Sequence[StreamSpec],
        max_ages_s: Mapping[str, float],
        action_spec: ActionSpec,
        max_lead_s: float,
        filters: Mapping[str, StreamFilter] | None = None,
        rules: Mapping[str, StreamRule] | None = None,
    ) -> None:
        optional = [name for name, rule in (rules or {}).items() if rule.is_optional]
        self.buffer = ObservationBuffer(streams, max_ages_s, filters=filters, optional=optional)
        self._max_ages_s = max_ages_s
        self._periods_s = {s.name: math.inf if s.holds else 1 / s.rate_hz for s in streams}
        self._holding = {stream.name for stream in streams if stream.holds}
        self._measuring = _measuring(streams, action_spec)
        self.measuring = self._measuring.names
        self._max_lead_s = max_lead_s
        self._now_s = math.nan
        self._names = {stream.name: stream.names for stream in streams}
        self._invalid: dict[str, _Refusal] = {}
        self._others: dict[str, tuple[str, ...]] = {}
        self._statistics = {s.name: StreamStatistics(len(s.names) or 1) for s in streams}
        self._rules = {name: (rules or {}).get(name, StreamRule()) for name in self._periods_s}
        for name in self.measuring:
            if self._rules[name].masks:
                raise ValueError(
                    f"{name} measures the commanded joints and cannot be masked: when_stale must "
                    "be hold or stop"
                )
        motion = np.array([MOTION.get(unit, MOTION["rad"]) for unit in self._measuring.units])
        slowest_s = max((self._periods_s[name] for name in self.measuring), default=0.0)
        self.joints = PlausibleJoints(action_spec.joint_names, self._measuring.units, slowest_s)
        self._frozen = {
            stream.name: FrozenImage(self._rules[stream.name].frozen_after_s, motion)
            for stream in streams
            if stream.kind == "image" and self._rules[stream.name].frozen_after_s > 0
        }
        self._kept: Verdict | None = None

    def start(self, not_before_s: float | None = None) -> None:
        """Forget what is older than ``not_before_s``, and everything when None."""
        self.buffer.reset(not_before_s)
        if self.buffer.begin_turns():
            for frozen in self._frozen.values():
                frozen.forget_motion()
        if not_before_s is None or math.isfinite(not_before_s):
            self._forget_invalid()
        self._now_s = math.nan
        self._kept = None
        self.joints.forget()

    def advance(self, now_s: float) -> str:
        """Note the time; when it has jumped, return how, and forget what was seen before."""
        last_s, self._now_s = self._now_s, now_s
        if self.buffer.advance(now_s):
            jump = f"the time went back by {last_s - now_s:.2f} s"
        elif now_s - last_s > LEAP_S:
            jump = f"the time leapt forward by {now_s - last_s:.2f} s"
            # What came at the new time already stays: in lockstep it does not come again.
            self.buffer.reset(math.nextafter(last_s, math.inf))
            self.buffer.advance(now_s)
        else:
            return ""
        self._forget_invalid()
        self.joints.forget()
        for statistics in self._statistics.values():
            statistics.forget()
        for frozen in self._frozen.values():
            frozen.forget_motion()
        return jump

    def observe(
        self,
        name: str,
        stamp_s: float,
        value: np.ndarray,
        present: np.ndarray | None = None,
        arrived_s: float | None = None,
    ) -> str:
        """Take one value of a stream; return why it was refused, or an empty text.

        Args:
            name: Name of the stream.
            stamp_s: Acquisition time.
            value: As ``ObservationBuffer.add``.
            present: As ``ObservationBuffer.add``.
            arrived_s: When it came, by the clock of the ticks; None: at its stamp.
        """
        if stamp_s - self._now_s > self._max_lead_s and name not in self._holding:
            lead_s = stamp_s - self._now_s
            text = f"{name}: stamp is {lead_s:.1f} s ahead of the clock"
            return self._refuse(name, text, present)
        if name in self.measuring and (text := self._implausible(name, stamp_s, value, present)):
            # Of one that stands alone the one before it is still good.
            unreliable = self.joints.is_unreliable
            return self._refuse(name, f"{name}: {text}", present) if unreliable else text
        try:
            is_taken = self.buffer.add(name, stamp_s, value, present)
        except OutOfOrderError as error:
            self._statistics[name].out_of_order += 1
            return str(error)  # the newer one that came before it is still good
        except ObservationError as error:
            return self._refuse(name, str(error), present)
        self._accept_again(name, present)
        if is_taken:
            arrived_s = stamp_s if arrived_s is None else arrived_s
            self._note(name, stamp_s, value, arrived_s, present)
        return ""

    def _implausible(
        self, name: str, stamp_s: float, value: np.ndarray, present: np.ndarray | None
    ) -> str:
        """Return why the measured joints cannot be there; what is no number is for the buffer."""
        if value.shape != (len(self._names[name]),) or self.buffer.ignores(name, stamp_s):
            return ""
        row = value if present is None else np.where(present, value, math.nan)
        if not np.isfinite(value if present is None else value[present]).all():
            return ""
        return self.joints.problem(stamp_s, self._measuring.row({name: row}))

    def refuse(self, name: str, error: str, elements: Sequence[str] = ()) -> str:
        """Note that the newest message of a stream cannot be used; return ``error``.

        Args:
            name: Name of the stream.
            error: Why not.
            elements: Names of the elements that it had; none: all.
        """
        present = np.array([each in elements for each in self._names[name]])
        return self._refuse(name, error, present if elements else None)

    def see_others(self, name: str, elements: Sequence[str]) -> None:
        """Note what else there is in messages on the topic of a vector stream."""
        self._others[name] = tuple(elements)

    def judge(self, now_s: float) -> Verdict | None:
        """Return ``problem``, and keep it until the next start where a stream's rule is stop."""
        found = self.problem(now_s)
        if found is None or self._kept is not None:
            return found
        for name, health in self.healths(now_s).items():
            unusable = health.reason not in (Reason.NONE, Reason.NO_OBSERVATION)
            if unusable and self._rules[name].when_stale == "stop":
                text = f"{health.text}; its when_stale is stop: reset to resume"
                self._kept = Verdict(State.HOLDING, health.reason, text)
                return self._kept
        return found

    def problem(self, now_s: float, only: Collection[str] | None = None) -> Verdict | None:
        """Return why the streams, or ``only`` some of them, cannot be used at ``now_s``."""
        if only is None and self._kept is not None:
            return self._kept
        healths = self.healths(now_s)
        asked = [health for name, health in healths.items() if only is None or name in only]
        for reason in _REASONS:
            texts = [each.text for each in asked if each.reason == reason and not each.masked]
            if texts:
                return Verdict(State.HOLDING, reason, "; ".join(texts))
        return None

    def healths(self, now_s: float) -> dict[str, StreamHealth]:
        """Return how every stream does at ``now_s``."""
        ages_s, stale = self.buffer.ages(now_s), self.buffer.stale(now_s)
        return {
            name: self._health(name, age_s, name in stale, now_s) for name, age_s in ages_s.items()
        }

    def masked_window(
        self, window: tuple[Observation, ...], now_s: float
    ) -> tuple[Observation, ...]:
        """Return ``window`` without the values of the streams that are masked at ``now_s``."""
        names = tuple(
            name
            for name, each in self.healths(now_s).items()
            if each.masked or self._never_came(name, window)
        )
        if not names:
            return window
        return tuple(observation.without(names) for observation in window)

    def _never_came(self, name: str, window: Sequence[Observation]) -> bool:
        """Return whether an optional stream had not come at a moment of ``window``."""
        is_optional = self._rules[name].is_optional
        return is_optional and any(each.source_stamps_s[name] == NEVER_S for each in window)

    def late(self, now_s: float, tolerance_s: float) -> list[str]:
        """Return the streams that, at their rate, should have delivered again by ``now_s``.

        A stream whose newest message was refused has delivered; one that holds need not again.
        """
        return [
            name
            for name, age in self.buffer.ages(now_s).items()
            if name not in self._invalid and not age < self._periods_s[name] - tolerance_s
        ]

    def measured(self, now_s: float) -> np.ndarray | None:
        """Return the newest measured position of the commanded joints at ``now_s``, (Da,).

        NaN of a column that is not measured.
        """
        values = {name: self.buffer.newest(name, now_s) for name in self.measuring}
        known = {name: value for name, value in values.items() if value is not None}
        return self._measuring.row(known) if len(known) == len(values) else None

    def newest_measured(self, now_s: float) -> tuple[np.ndarray, np.ndarray] | None:
        """Return the stamps of ``measured`` at ``now_s`` and its position, (Da,) each."""
        found = {name: self.buffer.newest_stamped(name, now_s) for name in self.measuring}
        known = {name: each for name, each in found.items() if each is not None}
        if not known or len(known) < len(found):
            return None
        stamps_s = self._measuring.row({name: each[0] for name, each in known.items()})
        position = self._measuring.row({name: each[1] for name, each in known.items()})
        return np.where(np.isnan(stamps_s), np.nanmax(stamps_s), stamps_s), position

    def measured_in(self, observation: Observation) -> tuple[np.ndarray, np.ndarray]:
        """Return where the commanded joints are in an observation and their stamps, (Da,)."""
        stamps_s = {
            name: np.array(list(observation.element_stamps_s[name].values()))
            if name in observation.element_stamps_s
            else np.full(len(self._names[name]), observation.source_stamps_s[name])
            for name in self.measuring
        }
        row_s = self._measuring.row(stamps_s)
        row_s = np.where(np.isnan(row_s), observation.stamp_s, row_s)
        return self._measuring.row(observation.values), row_s

    def _forget_invalid(self) -> None:
        """Forget what was refused, but where no better message would come by itself."""
        kept = self._invalid.items()
        self._invalid = {name: error for name, error in kept if name in self._holding}

    def _refuse(self, name: str, error: str, present: np.ndarray | None) -> str:
        refused = np.ones(len(self._names[name]) or 1, dtype=bool) if present is None else present
        if name in self._invalid:
            refused = refused | self._invalid[name].elements
        self._invalid[name] = _Refusal(error, refused)
        return error

    def _accept_again(self, name: str, present: np.ndarray | None) -> None:
        """Forget a refusal once a good message has brought each of its elements."""
        refusal = self._invalid.pop(name, None)
        if refusal is None or present is None:
            return
        left = refusal.elements & ~present
        if left.any():
            self._invalid[name] = _Refusal(refusal.text, left)

    def _note(
        self,
        name: str,
        stamp_s: float,
        value: np.ndarray,
        arrived_s: float,
        present: np.ndarray | None,
    ) -> None:
        self._statistics[name].take(stamp_s, arrived_s, present)
        if name in self._frozen:
            self._frozen[name].see(stamp_s, value)
        elif name in self.measuring and self._frozen:
            measured = self.measured(stamp_s)
            if measured is not None:
                for frozen in self._frozen.values():
                    frozen.move(stamp_s, measured)

    def _health(self, name: str, age_s: float, is_stale: bool, now_s: float) -> StreamHealth:
        statistics = self._statistics[name]
        reason, text = self._fault(name, age_s, is_stale, now_s)
        has_come, rule = not math.isnan(age_s), self._rules[name]
        is_masked = rule.masks and reason != Reason.NONE and (has_come or rule.is_optional)
        return StreamHealth(
            age_s,
            statistics.arrival_age_s(now_s),
            statistics.rate_hz,
            statistics.out_of_order,
            reason,
            text,
            masked=is_masked,
            clock_lead_s=statistics.clock_lead_s,
        )

    def _fault(self, name: str, age_s: float, is_stale: bool, now_s: float) -> tuple[Reason, str]:
        """Return why a stream cannot be used, as a code and in words."""
        if name in self._invalid:
            return Reason.INVALID_OBSERVATION, self._invalid[name].text
        if math.isnan(age_s):
            return Reason.NO_OBSERVATION, self._missing_text(name, now_s)
        longest_s, statistics = self._max_ages_s[name], self._statistics[name]
        if is_stale:
            return Reason.STALE_OBSERVATION, self._stale_text(name, now_s)
        silent_s, lead_s = statistics.arrival_age_s(now_s), statistics.longest_lead_s
        if silent_s > longest_s:
            late, current = self._parted(name, statistics.arrival_ages_s(now_s) > longest_s)
            text = f"{late} is {silent_s:.2f} s old: so long ago the newest came"
            return Reason.STALE_OBSERVATION, text + current
        if lead_s > longest_s:
            ahead, current = self._parted(name, statistics.leads_s > longest_s)
            text = f"{ahead} is {lead_s:.2f} s ahead of its arrival: set its clock{current}"
            return Reason.STALE_OBSERVATION, text
        if name in self._frozen and self._frozen[name].is_frozen:
            return Reason.FROZEN_IMAGE, f"{name} sends the same picture while the joints move"
        return Reason.NONE, ""

    def _missing_text(self, name: str, now_s: float) -> str:
        missing, _ = self._parted(name, np.isinf(self.buffer.element_ages(name, now_s)))
        others = self._others.get(name, ())
        also = f"; its topic has {list(others)} besides" if others else ""
        return f"nothing yet from {missing}{also}"

    def _stale_text(self, name: str, now_s: float) -> str:
        silences_s = self._statistics[name].arrival_ages_s(now_s)
        ages_s = self.buffer.element_ages(name, now_s)
        worst = int(ages_s.argmax())
        age_s, silent_s = ages_s[worst], silences_s[worst]
        late, current = self._parted(name, ages_s > self._max_ages_s[name])
        came = f", it came {silent_s:.2f} s ago" if silent_s < age_s - _PROMPT_S else ""
        if current and not came:
            return f"{late}: no message for {age_s:.2f} s{current}"
        return f"{late} is {age_s:.2f} s old by its stamp{came}{current}"

    def _parted(self, name: str, chosen: np.ndarray) -> tuple[str, str]:
        """Return what to call some elements of a stream, and what to add about the others."""
        if chosen.all():
            return name, ""
        names = [each for each, is_so in zip(self._names[name], chosen, strict=True) if is_so]
        word = "joint" if len(names) == 1 else "joints"
        called = f"{word} {', '.join(map(repr, names))} of {name}"
        return called, "; its other joints are current"


def _measuring(streams: Sequence[StreamSpec], action_spec: ActionSpec) -> Measuring:
    found = measuring(streams, action_spec)
    if found is not None:
        return found
    raise ValueError(
        f"no stream measures all of {list(action_spec.measured_names)}, so the first command "
        f"could jump; streams: { {stream.name: list(stream.names) for stream in streams} }"
    )
