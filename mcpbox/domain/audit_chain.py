"""The chain of the audit log: what the hash of an event covers, and where a chain breaks.

Pure and in constant memory, so that an export is verified on a machine without the database.
"""

import hashlib
import json
from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Any, NamedTuple, cast

from mcpbox.domain.base import DomainModel

GENESIS = "0" * 64
"""What the first event of a log follows."""


class ChainedEvent(NamedTuple):
    """One row of the log, as it is stored and exported."""

    sequence: int
    at: datetime
    actor: str
    action: str
    subject: str
    detail: str
    facts: dict[str, Any]
    previous_hash: str
    hash: str


class Break(DomainModel):
    """The first event that is not what was written."""

    sequence: int
    problem: str


class ChainReport(DomainModel):
    events: int
    first: int | None
    last: int | None
    """Sequences; ``None``: there are no events."""
    head: str
    """Hash of the last event, which the next one will follow."""
    from_start: bool
    """Whether it begins with the first event of the log; an export may begin later."""
    anchors: int
    """Signed ones that were compared with it."""
    broken: Break | None

    @property
    def whole(self) -> bool:
        return self.broken is None


def event_hash(
    previous_hash: str,
    at: datetime,
    actor: str,
    action: str,
    subject: str,
    detail: str,
    facts: dict[str, Any],
) -> str:
    """64 hexadecimal digits, over canonical JSON."""
    when = at.astimezone(UTC).isoformat()
    covered = [previous_hash, when, actor, action, subject, detail, facts]
    text = json.dumps(covered, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()


class ChainCheck:
    """Told of the events in their order; whatever comes after a break is not looked at."""

    def __init__(self, anchored: Iterable[tuple[int, str]] = (), *, whole_log: bool) -> None:
        """``anchored``: sequence and hash, as signed. ``whole_log``: it must begin at the start."""
        self._anchored: dict[int, set[str]] = {}
        for sequence, signed in anchored:
            self._anchored.setdefault(sequence, set()).add(signed)
        self._expected = sorted(self._anchored)
        self._whole_log = whole_log
        self._events = 0
        self._first: ChainedEvent | None = None
        self._last: ChainedEvent | None = None
        self._before_last = GENESIS
        self._anchors = 0
        self._held = 0
        """Sequence of the last anchor that holds."""
        self.broken: Break | None = None

    def add(self, event: ChainedEvent) -> bool:
        """Whether to go on."""
        self.broken = self.broken or self._wrong_with(event)
        if self.broken is not None:
            return False
        self._events += 1
        if self._first is None:
            self._first = event
            # An anchor of what an export leaves out says nothing about it.
            self._expected = [one for one in self._expected if one >= event.sequence]
        elif self._last is not None:
            self._before_last = self._last.hash
        self._last = event
        if event.sequence in self._anchored:
            self._anchors += 1
            self._held = event.sequence
            self._expected.pop(0)
        return True

    def report(self) -> ChainReport:
        """Of the events so far, as if there were no more."""
        first, last = self._first, self._last
        broken = self.broken
        if broken is None and self._expected and (last is not None or self._whole_log):
            ends = f"ends with event {last.sequence}" if last else "is empty"
            broken = Break(
                sequence=self._expected[0],
                problem=f"The log {ends}, but an anchor was signed over this event: it, and what "
                "stood before it, was cut off.",
            )
        return ChainReport(
            events=self._events,
            first=first.sequence if first else None,
            last=last.sequence if last else None,
            head=last.hash if last else GENESIS,
            from_start=first is None or first.previous_hash == GENESIS,
            anchors=self._anchors,
            broken=broken,
        )

    def _wrong_with(self, event: ChainedEvent) -> Break | None:
        problem = self._out_of_place(event) or self._not_as_anchored(event)
        if problem is not None:
            return problem
        if event.hash != event_hash(
            event.previous_hash,
            event.at,
            event.actor,
            event.action,
            event.subject,
            event.detail,
            event.facts,
        ):
            return Break(sequence=event.sequence, problem="It was changed: its hash differs.")
        return None

    def _out_of_place(self, event: ChainedEvent) -> Break | None:
        last = self._last
        if last is None:
            if event.previous_hash == GENESIS or not self._whole_log:
                return None
            return Break(sequence=event.sequence, problem="What stood before it was removed.")
        if event.sequence <= last.sequence:
            return Break(sequence=event.sequence, problem=f"It stands after event {last.sequence}.")
        if event.previous_hash == last.hash:
            return None
        if self._events > 1 and event.previous_hash == self._before_last:
            return Break(
                sequence=last.sequence,
                problem=f"It was inserted: event {event.sequence} does not follow it, but the one "
                "before it.",
            )
        return Break(
            sequence=event.sequence,
            problem=f"It does not follow event {last.sequence}: what stood between them was "
            "removed, or one of the two was replaced or moved.",
        )

    def _not_as_anchored(self, event: ChainedEvent) -> Break | None:
        if self._first is not None and self._expected and self._expected[0] < event.sequence:
            return Break(
                sequence=self._expected[0],
                problem="It is missing, but an anchor was signed over it.",
            )
        signed = self._anchored.get(event.sequence)
        # Two anchors of one event that differ: whichever it is now, it was another once.
        if signed is None or signed == {event.hash}:
            return None
        return Break(
            sequence=event.sequence,
            problem="It is not the event that an anchor was signed over: the log was rewritten "
            f"somewhere from event {self._held + 1} to here.",
        )


def to_line(event: ChainedEvent) -> str:
    """One line of an export: JSON, without the end of the line."""
    said = {**event._asdict(), "at": event.at.astimezone(UTC).isoformat()}
    return json.dumps(said, separators=(",", ":"))


def from_line(line: str) -> ChainedEvent:
    """Raises: ValueError: it is no event."""
    said = json.loads(line)
    if not isinstance(said, dict):
        raise ValueError("not an object")  # noqa: TRY004 - one error for whatever is no event
    given = cast("dict[str, Any]", said)
    kinds: dict[str, type] = {"sequence": int, "facts": dict}
    if set(given) != set(ChainedEvent._fields) or not all(
        isinstance(value, kinds.get(name, str)) for name, value in given.items()
    ):
        raise ValueError("not an event")
    at = datetime.fromisoformat(given["at"])
    if at.tzinfo is None:
        raise ValueError("a time without its zone")
    given["at"] = at
    return ChainedEvent(**given)
