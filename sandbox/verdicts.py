"""What became of a job; nothing that a child says is believed unchecked."""

import json
import os
import signal
from collections.abc import Iterable
from typing import Any, NamedTuple, cast

from sandbox.cancelling import CANCELLED
from sandbox.contract import ErrorKind, RunError, RunLimits
from sandbox.control import Exited
from sandbox.dialogue import Broken
from sandbox.exchange import Answer, Ended, LastWords, Stopped, TimedOut

MAX_DEPTH = 100
_MAX_MESSAGE_CHARACTERS = 2000
_TOLD_BY_CHILDREN = frozenset({ErrorKind.RAISED, ErrorKind.BAD_RESULT, ErrorKind.MEMORY})
"""The other kinds are for the service to find."""
_HARMLESS = frozenset({ErrorKind.RAISED, ErrorKind.BAD_RESULT})
"""Failures after which a process is as good as before."""


_FIELDS = frozenset({"ok", "result", "error", "last"})
_CONTAINERS = frozenset({dict, list})
_JSON = json.JSONDecoder(parse_constant=lambda _: None)
"""NaN and infinities become null."""


class Verdict(NamedTuple):
    ok: bool
    result: Any = None
    error: RunError | None = None
    last: bool = True


class _Report(NamedTuple):
    ok: bool
    result: Any = None
    error: RunError | None = None
    last: bool = False
    """A resident does not want to serve another call."""


def verdict_on(answer: Answer, limits: RunLimits, cpu_before_s: float) -> Verdict:
    """``cpu_before_s``: what the process had used before this job."""
    match answer:
        case Stopped():
            return Verdict(ok=False, error=CANCELLED)
        case TimedOut():
            message = f"The tool ran longer than {limits.wall_s:g} s and was stopped."
            return _failed(ErrorKind.WALL, message)
        case LastWords(report):
            return Verdict(ok=False, error=_told(_checked(report).error))
        case Broken():
            return _failed(ErrorKind.CRASHED, f"The server broke the protocol: it {answer}.")
        case Ended():
            return _crashed(answer.how, limits, cpu_before_s)
        case bytes():
            return _checked(answer)


def _checked(raw: bytes) -> Verdict:
    try:
        text = raw.decode()
        given: object = _JSON.decode(text)
        if "\\ud" in text.lower():  # a lone surrogate cannot be sent on
            json.dumps(given, ensure_ascii=False).encode()
        report = _report_of(given)
    except UnicodeEncodeError:
        message = (
            "The result is not JSON that can be sent on: a text in it holds half a character (a "
            "lone surrogate); write text.encode(errors='replace').decode()."
        )
        return _failed(ErrorKind.BAD_RESULT, message)
    except (ValueError, RecursionError):
        return _failed(ErrorKind.BAD_RESULT, "The result is not JSON that can be sent on.")
    if _depth_exceeds(report.result, MAX_DEPTH):
        message = f"The result is nested deeper than {MAX_DEPTH} levels."
        return _failed(ErrorKind.BAD_RESULT, message)
    if report.ok:
        return Verdict(ok=True, result=report.result, last=report.last)
    error = _told(report.error)
    return Verdict(ok=False, error=error, last=report.last or error.kind not in _HARMLESS)


def _report_of(given: object) -> _Report:
    """Raises: ValueError."""
    if not isinstance(given, dict):
        raise ValueError("it is no object")  # noqa: TRY004  as other unfit reports
    said = cast("dict[str, Any]", given)
    flags = (said.get("ok"), said.get("last", False))
    if any(type(flag) is not bool for flag in flags) or not said.keys() <= _FIELDS:
        raise ValueError("it is no report")
    error = said.get("error")
    return _Report(
        ok=said["ok"],
        result=said.get("result"),
        error=None if error is None else RunError.model_validate(error),
        last=said.get("last", False),
    )


def _told(error: RunError | None) -> RunError:
    """What a child may say of itself, and no more: whatever it is, a tool may have written it."""
    if error is None or error.kind not in _TOLD_BY_CHILDREN:
        return _error(ErrorKind.CRASHED, "The tool's process gave no valid reason for its failure.")
    text = error.message[:_MAX_MESSAGE_CHARACTERS].replace("\x00", "\N{REPLACEMENT CHARACTER}")
    return error.model_copy(update={"message": text})


def _crashed(how: Exited | None, limits: RunLimits, cpu_before_s: float) -> Verdict:
    if how is None:
        return _failed(ErrorKind.CRASHED, "The tool's process was lost; try again.")
    if not os.WIFSIGNALED(how.status):
        return _failed(ErrorKind.CRASHED, "The tool ended its process without a result.")
    number = os.WTERMSIG(how.status)
    if number == signal.SIGXCPU or (
        number == signal.SIGKILL and how.cpu_s - cpu_before_s >= limits.cpu_s
    ):
        message = f"The tool used more than {limits.cpu_s} s of CPU time and was stopped."
        return _failed(ErrorKind.CPU, message)
    if number == signal.SIGSYS:
        return _failed(ErrorKind.CRASHED, "The tool made a forbidden system call and was killed.")
    named = {int(one): one.name for one in signal.Signals}
    said = f"The tool's process was killed ({named.get(number, f'signal {number}')})."
    return _failed(ErrorKind.CRASHED, said)


def _depth_exceeds(value: object, limit: int) -> bool:
    """``value``: made by the JSON parser; of a million parts it must not take long."""
    level: list[Any] = [value] if type(value) in _CONTAINERS else []
    for _ in range(limit):
        level = [
            below
            for one in level
            if one  # most of a million would be empty
            for below in _parts_of(one)
            if type(below) in _CONTAINERS
        ]
        if not level:
            return False
    return any(level)


def _parts_of(value: Any) -> Iterable[Any]:
    return cast("dict[str, Any]", value).values() if isinstance(value, dict) else value


def _failed(kind: ErrorKind, message: str) -> Verdict:
    return Verdict(ok=False, error=_error(kind, message))


def _error(kind: ErrorKind, message: str) -> RunError:
    return RunError(kind=kind, message=message)
