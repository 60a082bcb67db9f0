"""How a workflow has something done: within its own task where that is quick, else patiently."""

from collections.abc import Awaitable, Callable, Generator
from contextlib import contextmanager
from datetime import timedelta
from typing import Any, NamedTuple, TypeVar

from temporalio import workflow
from temporalio.common import RetryPolicy
from temporalio.exceptions import ActivityError, ApplicationError, FailureError

from workflows.kinds import STORE_TIMEOUT

Given = TypeVar("Given")
Answer = TypeVar("Answer")
Doing = Callable[[Any, Given], Awaitable[Answer]]
"""A method of one of the classes in :mod:`workflows.contracts`."""

STORE_RETRY = RetryPolicy(
    initial_interval=timedelta(milliseconds=200), maximum_interval=timedelta(seconds=5)
)
"""Without end: Postgres comes back, and nothing that was decided may be lost."""
_AT_ONCE = timedelta(seconds=5)
"""Well within a workflow task, which has ten."""
_HEARTBEAT = timedelta(seconds=10)


class Patience(NamedTuple):
    each_try: timedelta = STORE_TIMEOUT
    in_all: timedelta | None = None
    """Without end where there is none."""
    retry: RetryPolicy = STORE_RETRY


ENDLESS = Patience()


async def patiently(
    doing: Doing[Given, Answer], given: Given, patience: Patience = ENDLESS, *, summary: str = ""
) -> Answer:
    """Raises: ActivityError: it fails for good, or for too long."""
    return await workflow.execute_activity_method(
        doing,
        given,
        start_to_close_timeout=patience.each_try,
        schedule_to_close_timeout=patience.in_all,
        heartbeat_timeout=_HEARTBEAT,
        retry_policy=patience.retry,
        summary=summary or None,
    )


async def at_once(doing: Doing[Given, Answer], given: Given) -> Answer:
    """One try of a single transaction, which spares a way through the server and back.

    What the workflow task has received is lost with it, should server and worker end at once, and
    what was written because of it stays: for what finds its way back from there. See ADR 0032.

    Raises: FailureError: the cause itself, which no :class:`ActivityError` goes around here.
    """
    return await workflow.execute_local_activity_method(
        doing,
        given,
        start_to_close_timeout=_AT_ONCE,
        retry_policy=RetryPolicy(maximum_attempts=1),
    )


@contextmanager
def refused_by_name() -> Generator[None]:
    """Raises: ApplicationError: what the database refused, by the name of the domain error."""
    try:
        yield
    except FailureError as error:
        if cause := _told_by(error):
            raise ApplicationError(cause.message, type=cause.type) from error
        raise


def final_cause(error: FailureError) -> ApplicationError | None:
    """Why trying again would change nothing; ``None``: it might."""
    cause = _told_by(error)
    return cause if cause is not None and cause.non_retryable else None


def _told_by(error: FailureError) -> ApplicationError | None:
    """A local activity raises it itself, an ordinary one within an error of its own."""
    cause = error.cause if isinstance(error, ActivityError) else error
    return cause if isinstance(cause, ApplicationError) else None
