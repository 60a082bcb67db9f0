"""What the service makes of a child's word, or of its end."""

import json
import math
import signal

import pytest

from sandbox.contract import ErrorKind, RunLimits
from sandbox.control import Exited
from sandbox.exchange import Ended
from sandbox.verdicts import verdict_on

LIMITS = RunLimits(cpu_s=2)


def a_report(kind: ErrorKind, **more: object) -> bytes:
    error = {"kind": kind, "message": "as it says"}
    return json.dumps({"ok": False, "error": error, **more}).encode()


@pytest.mark.parametrize("kind", [ErrorKind.RAISED, ErrorKind.BAD_RESULT])
def test_a_resident_may_stay_after_a_failure_of_its_tool(kind: ErrorKind) -> None:
    assert not verdict_on(a_report(kind), LIMITS, 0).last
    assert verdict_on(a_report(kind, last=True), LIMITS, 0).last


@pytest.mark.parametrize("kind", sorted({*ErrorKind} - {ErrorKind.RAISED, ErrorKind.BAD_RESULT}))
def test_a_resident_goes_after_any_other_failure_whatever_it_says(kind: ErrorKind) -> None:
    assert verdict_on(a_report(kind, last=False), LIMITS, 0).last


@pytest.mark.parametrize("raw", [b"", b"{", b"{}", b'{"ok": true, "more": 1}', b"\xff"])
def test_a_resident_goes_after_what_is_no_report(raw: bytes) -> None:
    assert verdict_on(raw, LIMITS, 0).last


@pytest.mark.parametrize(("before_s", "kind"), [(0, ErrorKind.CPU), (9, ErrorKind.CRASHED)])
def test_cpu_time_of_earlier_calls_is_not_held_against_this_one(
    before_s: float, kind: ErrorKind
) -> None:
    killed = Ended(Exited(pid=2, status=signal.SIGKILL, cpu_s=10))

    error = verdict_on(killed, LIMITS, before_s).error

    assert error is not None
    assert error.kind is kind


@pytest.mark.parametrize("status", [35, 126, 127, -1, 2**31 - 1, -(2**31)])
def test_any_status_is_told(status: int) -> None:
    """Where modules are hostile, they say how a process ended."""
    error = verdict_on(Ended(Exited(pid=2, status=status, cpu_s=math.nan)), LIMITS, 0).error

    assert error is not None
    assert error.kind is ErrorKind.CRASHED
