"""One question to a source, and why it failed: what the SDK makes of a failure is never told."""

from collections.abc import Generator
from contextlib import contextmanager
from contextvars import ContextVar

from mcp import MCPError
from mcp_types import CONNECTION_CLOSED, PARSE_ERROR, REQUEST_TIMEOUT
from opentelemetry import context
from pydantic import ValidationError

from mcpbox.domain.errors import SourceFailed

NOT_THE_PROTOCOL = "It does not answer as the protocol says."
CUT_SHORT = "It ended its answer before it was whole."
TOO_SLOW = "It did not answer in time."


class SignInNeeded(SourceFailed):
    """It does not take what proves who asks, or wants such a proof."""


class SessionLost(SourceFailed):
    """It does not know the session any more, so it did nothing."""


class Asking:
    """The transport notes here why it failed: it runs in the context of whoever asks."""

    failure: SourceFailed | None = None


_asking: ContextVar[Asking | None] = ContextVar("asking", default=None)
_OF_THE_SDK = {
    CONNECTION_CLOSED: CUT_SHORT,
    PARSE_ERROR: NOT_THE_PROTOCOL,
    REQUEST_TIMEOUT: TOO_SLOW,
}
"""Errors that it makes by itself, so their texts are not the source's."""
_EXPECTED = (MCPError, ValidationError, RuntimeError, SourceFailed)
"""Of the SDK with a source that breaks the protocol; ``RuntimeError``: no version in common."""


def note(failure: SourceFailed | None) -> None:
    """How the last message of whoever asks went; ``None``: it was answered."""
    asked = _asking.get()
    if asked is not None:
        asked.failure = failure


@contextmanager
def asking() -> Generator[None]:
    """Raises: SourceFailed: in place of all that goes wrong inside; MCPError: the source's own."""
    asked = Asking()
    token = _asking.set(asked)
    # What is sent is told nothing of the trace it is part of, which began with whoever calls.
    trace = context.attach(context.Context())
    try:
        yield
    except TimeoutError as error:
        raise asked.failure or SourceFailed(TOO_SLOW, delivered=True) from error
    except _EXPECTED as error:
        if (meant := _meant(error, asked)) is error:
            raise
        raise meant from error
    except ExceptionGroup as group:
        expected, others = group.split(_EXPECTED)
        if expected is None or others is not None:
            raise
        raise _meant(_first(expected), asked) from group
    finally:
        context.detach(trace)
        _asking.reset(token)


def _meant(error: Exception, asked: Asking) -> Exception:
    if asked.failure is not None:
        return asked.failure
    if isinstance(error, SourceFailed):
        return error
    if isinstance(error, MCPError):
        ours = _OF_THE_SDK.get(error.code)
        return error if ours is None else SourceFailed(ours, delivered=True)
    return SourceFailed(NOT_THE_PROTOCOL, delivered=True)


def _first(group: ExceptionGroup[Exception]) -> Exception:
    found: Exception = group
    while isinstance(found, ExceptionGroup):
        found = found.exceptions[0]
    return found
