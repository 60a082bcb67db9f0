from datetime import timedelta

import pytest

from mcpbox.domain.evidence import Check, Risk, Status
from mcpbox.domain.executions import ExecutionOutcome
from mcpbox.domain.modules import Requirement
from mcpbox.domain.requests import State
from mcpbox.domain.tools import Approval
from mcpbox.domain.verdicts import Verdict
from tests.unit.ui.stub_api import NOW, a_request, a_version
from ui import words
from ui.pages.queue import LISTS


@pytest.mark.parametrize(
    ("passed", "short", "long"),
    [
        (timedelta(seconds=59), "now", "just now"),
        (timedelta(minutes=4), "4 min", "4 min ago"),
        (timedelta(minutes=59, seconds=59), "59 min", "59 min ago"),
        (timedelta(hours=3), "3 h", "3 h ago"),
        (timedelta(days=2, hours=5), "2 d", "2 d ago"),
        (timedelta(seconds=-30), "now", "just now"),
    ],
)
def test_ages_are_told_in_few_characters(passed: timedelta, short: str, long: str) -> None:
    assert words.age(NOW - passed, NOW) == short
    assert words.ago(NOW - passed, NOW) == long


def test_what_is_to_come_is_told_too() -> None:
    assert words.until(NOW + timedelta(days=6, hours=1), NOW) == "in 6 d"
    assert words.until(NOW, NOW) == "in less than a minute"


@pytest.mark.parametrize(
    ("risk", "typed"),
    [(Risk.LOW, False), (Risk.MEDIUM, False), (Risk.HIGH, True), (Risk.CRITICAL, True)],
)
def test_high_and_critical_risks_need_the_typed_name(risk: Risk, typed: bool) -> None:
    assert words.needs_typed_name(risk) is typed


def test_an_unknown_risk_is_never_taken_for_a_low_one() -> None:
    assert words.needs_typed_name(None)
    assert words.risk_word(None) == "Not known"


def test_every_state_has_words_and_is_in_exactly_one_list() -> None:
    assert set(words.STATES) == set(State)
    listed = [state for one in LISTS for state in one.states]
    assert sorted(listed) == sorted(State)


def test_every_word_of_the_domain_can_be_said() -> None:
    assert set(words.STATUSES) == set(Status)
    assert set(words.CHECKS) == set(Check)
    assert set(words.OUTCOMES) == set(ExecutionOutcome)
    assert set(words.APPROVALS) == set(Approval)
    assert set(words.VERDICTS) == set(Verdict)


def test_a_check_that_could_not_run_is_not_told_as_a_good_one() -> None:
    assert words.STATUSES[Status.MISSING][1] != "good"


def test_durations_are_rounded_to_what_matters() -> None:
    told = [words.milliseconds(value) for value in (2.64, 21.7, 1540.0)]
    assert told == ["2.6 ms", "22 ms", "1.5 s"]


def test_principals_are_told_apart() -> None:
    assert words.who("client:laptop") == ("bot", "laptop")
    assert words.who("person:ana") == ("user", "ana")
    assert words.who("ana") == ("user", "ana")


def test_a_first_version_is_told_from_an_update() -> None:
    assert words.change_of(a_request(a_version())) == "new, v1"
    assert words.change_of(a_request(a_version(number=2), a_version())) == "v1 → v2"


@pytest.mark.parametrize(
    ("package", "specifier", "said"),
    [
        ("dateutil", "", "any version"),
        ("dateutil", "<3", "dateutil<3"),
        ("python-dateutil", "", "python-dateutil"),
    ],
)
def test_of_a_module_the_package_is_said_unless_the_title_says_it_already(
    package: str, specifier: str, said: str
) -> None:
    wanted = Requirement(module="dateutil", package=package, specifier=specifier)
    request = a_request(a_version()).model_copy(update={"requirement": wanted})

    assert words.change_of(request) == said


@pytest.mark.parametrize(
    ("length", "text"),
    [
        (timedelta(days=7), "7 d"),
        (timedelta(hours=36), "36 h"),
        (timedelta(minutes=90), "90 min"),
        (timedelta(hours=24), "1 d"),
    ],
)
def test_a_span_is_written_in_its_largest_whole_unit_and_read_again(
    length: timedelta, text: str
) -> None:
    assert words.span(length) == text
    assert words.read_span(text) == length == words.read_span(text.replace(" ", "").upper())


@pytest.mark.parametrize("text", ["", "7", "d", "7 weeks", "-1 d", "1.5 h", "9999999 d"])
def test_what_is_no_span_is_not_read(text: str) -> None:
    assert words.read_span(text) is None
