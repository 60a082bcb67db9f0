"""I10: any single change of a chain is found, and the first bad event is named."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mcpbox.domain.audit_chain import (
    GENESIS,
    ChainCheck,
    ChainedEvent,
    ChainReport,
    event_hash,
    from_line,
    to_line,
)

START = datetime(2026, 11, 1, tzinfo=UTC)
_WORDS = st.text("ab0 ", max_size=70)
FIELDS = ("at", "actor", "action", "subject", "detail", "facts", "previous_hash", "hash")


def sealed(event: ChainedEvent) -> ChainedEvent:
    return event._replace(hash=event_hash(event.previous_hash, *event[1:7]))


def an_event(number: int, previous: str) -> ChainedEvent:
    return sealed(
        ChainedEvent(
            # Numbers of transactions that were rolled back are missing.
            sequence=2 * number + 1,
            at=START + timedelta(minutes=number),
            actor="person:ana",
            action="catalog:tool:updated",
            subject=f"tool:{number % 3}",
            detail=f"version {number}",
            facts={"number": number},
            previous_hash=previous,
            hash="",
        )
    )


def a_chain(length: int) -> list[ChainedEvent]:
    events: list[ChainedEvent] = []
    for number in range(length):
        events.append(an_event(number, events[-1].hash if events else GENESIS))
    return events


def checked(
    events: list[ChainedEvent],
    anchored: dict[int, str] | None = None,
    *,
    whole_log: bool = True,
) -> ChainReport:
    check = ChainCheck((anchored or {}).items(), whole_log=whole_log)
    for event in events:
        if not check.add(event):
            break
    return check.report()


def anchored_at(*events: ChainedEvent) -> dict[int, str]:
    return {event.sequence: event.hash for event in events}


def first_bad(report: ChainReport) -> int | None:
    return report.broken.sequence if report.broken else None


@given(st.integers(0, 12))
def test_an_honest_chain_is_whole_with_and_without_anchors(length: int) -> None:
    events = a_chain(length)

    report = checked(events, anchored_at(*events[::3]))

    assert report.whole
    assert (report.events, report.anchors) == (length, len(events[::3]))
    assert report.head == (events[-1].hash if events else GENESIS)


@dataclass(frozen=True)
class Place:
    events: list[ChainedEvent]
    index: int


@st.composite
def places(draw: st.DrawFn, *, margin: int = 0) -> Place:
    """Somewhere in a chain, with ``margin`` events after it."""
    length = draw(st.integers(1 + margin, 12))
    return Place(a_chain(length), draw(st.integers(0, length - 1 - margin)))


@given(places(), st.sampled_from(FIELDS), st.data())
def test_i10_any_edit_of_any_field_is_found_and_named(
    place: Place, field: str, data: st.DataObject
) -> None:
    event = place.events[place.index]
    other: dict[str, st.SearchStrategy[Any]] = {
        "at": st.integers(1, 10**12).map(lambda us: START + timedelta(microseconds=us)),
        "facts": st.dictionaries(_WORDS, st.integers(), max_size=3),
    }
    value = data.draw(other.get(field, _WORDS).filter(lambda v: v != getattr(event, field)))
    place.events[place.index] = event._replace(**{field: value})

    assert first_bad(checked(place.events)) == event.sequence


@given(places(margin=1))
def test_i10_a_deleted_event_is_found_at_the_one_that_followed_it(place: Place) -> None:
    del place.events[place.index]

    assert first_bad(checked(place.events)) == place.events[place.index].sequence


@given(places(margin=1), st.data())
def test_i10_two_swapped_events_are_found_at_the_first_of_them(
    place: Place, data: st.DataObject
) -> None:
    """Swapped as who has the table would do it: each under the other's number."""
    events, here = place.events, place.index
    there = data.draw(st.integers(here + 1, len(events) - 1))
    events[here], events[there] = (
        events[there]._replace(sequence=events[here].sequence),
        events[here]._replace(sequence=events[there].sequence),
    )

    assert first_bad(checked(events)) == events[here].sequence


@given(places(margin=1), st.booleans())
def test_i10_an_inserted_event_is_found_and_named(place: Place, well_made: bool) -> None:
    """Also one that follows its neighbour as it should: then it is the next that does not."""
    before = place.events[place.index]
    forged = before._replace(
        sequence=before.sequence + 1, actor="person:eve", previous_hash=before.hash
    )
    place.events.insert(place.index + 1, sealed(forged) if well_made else forged)

    assert first_bad(checked(place.events)) == forged.sequence


@given(places(margin=1))
def test_i10_an_edit_whose_hash_was_made_anew_shows_at_the_next_event(place: Place) -> None:
    event = place.events[place.index]
    place.events[place.index] = sealed(event._replace(actor="person:eve"))

    assert first_bad(checked(place.events)) == place.events[place.index + 1].sequence


@given(places())
def test_i10_a_chain_that_was_written_anew_shows_against_its_anchor(place: Place) -> None:
    honest = place.events
    forged = honest[: place.index]
    for event in honest[place.index :]:
        actor = "person:eve" if len(forged) == place.index else event.actor
        previous = forged[-1].hash if forged else GENESIS
        forged.append(sealed(event._replace(actor=actor, previous_hash=previous)))
    assert checked(forged).whole

    report = checked(forged, anchored_at(*honest[: place.index], honest[-1]))

    assert first_bad(report) == honest[-1].sequence
    held = honest[place.index - 1].sequence if place.index else 0
    assert report.broken
    assert f"from event {held + 1} to here" in report.broken.problem


@given(places())
def test_i10_a_cut_tail_shows_against_an_anchor_of_what_is_gone(place: Place) -> None:
    kept = place.events[: place.index]
    assert checked(kept).whole

    report = checked(kept, anchored_at(*place.events[place.index :]))

    assert first_bad(report) == place.events[place.index].sequence


def test_a_removed_beginning_is_found_in_the_log_and_told_of_an_export() -> None:
    events = a_chain(5)[2:]

    assert first_bad(checked(events)) == events[0].sequence
    report = checked(events, anchored_at(*a_chain(5)), whole_log=False)
    assert report.whole
    assert (report.from_start, report.anchors) == (False, 3)


def test_two_anchors_that_contradict_each_other_break_the_log_either_way() -> None:
    events = a_chain(2)
    check = ChainCheck([(1, events[0].hash), (1, "0" * 64)], whole_log=True)

    assert not check.add(events[0])


@given(st.integers(1, 6))
def test_an_exported_line_is_the_event_again(length: int) -> None:
    events = a_chain(length)

    assert [from_line(to_line(event)) for event in events] == events


@pytest.mark.parametrize(
    "line",
    [
        *("", "[]", "{}", "null", '{"sequence": 1}', "not json"),
        to_line(a_chain(1)[0]).replace('"sequence":1', '"sequence":"1"'),
        to_line(a_chain(1)[0]).replace("+00:00", ""),
        to_line(a_chain(1)[0]).replace("2026-11-01", "some day"),
    ],
)
def test_a_line_that_is_no_event_is_refused(line: str) -> None:
    with pytest.raises(ValueError):  # noqa: PT011 - the face says which line it is
        from_line(line)
