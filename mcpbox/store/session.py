"""Engine, sessions and transactions; the one place that knows what a lost database looks like."""

from collections.abc import AsyncGenerator, Generator, Iterator
from contextlib import asynccontextmanager, contextmanager

import asyncpg
from sqlalchemy import event
from sqlalchemy.engine.interfaces import DBAPIConnection
from sqlalchemy.exc import DBAPIError, InvalidatePoolError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from sqlalchemy.ext.asyncio import (
    AsyncConnection,
    AsyncSession,
    async_sessionmaker,
    create_async_engine,
)
from sqlalchemy.pool import NullPool

from mcpbox.domain.errors import Invalid, Unavailable

CONNECT_TIMEOUT_S = 5
COMMAND_TIMEOUT_S = 8
"""Less than an activity or a client waits: both should still hear which part is silent."""
_STATEMENTS = 500
"""Kept prepared on each connection: more than there are, so that none is prepared twice."""
_LOST = (
    asyncpg.PostgresConnectionError,
    asyncpg.CannotConnectNowError,
    asyncpg.AdminShutdownError,
    asyncpg.CrashShutdownError,
    asyncpg.InterfaceError,
    OSError,
    PoolTimeout,
)

Sessions = async_sessionmaker[AsyncSession]


def make_sessions(database_url: str, *, connections: int = 20) -> Sessions:
    """``database_url`` as in ``MCPBOX_DATABASE_URL``, with or without a driver in its scheme.

    ``connections``: at most so many, opened when they are needed. All of them stay: to open one,
    and to prepare its statements again, takes as long as a request.
    """
    engine = create_async_engine(
        _with_driver(database_url),
        pool_size=connections,
        max_overflow=0,
        pool_timeout=CONNECT_TIMEOUT_S,
        # The connection that was used last has its statements prepared and its caches warm.
        pool_use_lifo=True,
        connect_args={
            "timeout": CONNECT_TIMEOUT_S,
            "command_timeout": COMMAND_TIMEOUT_S,
            "prepared_statement_cache_size": _STATEMENTS,
        },
    )
    event.listen(engine.sync_engine, "checkout", _require_open)
    return async_sessionmaker(engine, expire_on_commit=False)


@asynccontextmanager
async def connection_to(database_url: str) -> AsyncGenerator[AsyncConnection]:
    """One transaction on a connection of its own, for what runs before the processes do.

    Raises: Unavailable.
    """
    engine = create_async_engine(_with_driver(database_url), poolclass=NullPool)
    try:
        with _lost_is_unavailable():
            async with engine.begin() as connection:
                yield connection
    finally:
        await engine.dispose()


@asynccontextmanager
async def transaction(sessions: Sessions) -> AsyncGenerator[AsyncSession]:
    """Commits at the end, rolls back on any error.

    Raises: Unavailable: Postgres does not answer; nothing was committed. Invalid: a value that
        no column can hold; the last resort, because faces say better which one it was.
    """
    with _lost_is_unavailable():
        async with sessions.begin() as session:
            yield session


@asynccontextmanager
async def reading(sessions: Sessions) -> AsyncGenerator[AsyncSession]:
    """For statements that change nothing: each sees what is committed as it begins.

    So it is in a transaction of ours too (READ COMMITTED), but that takes two more ways to the
    server, which are half of what a look costs.

    Raises: Unavailable; Invalid: as above.
    """
    with _lost_is_unavailable():
        async with sessions(autoflush=False) as session:
            await session.connection(execution_options={"isolation_level": "AUTOCOMMIT"})
            yield session
            if session.new or session.dirty or session.deleted or session.info:
                raise AssertionError("What was to be changed here would have been lost.")


@contextmanager
def _lost_is_unavailable() -> Generator[None]:
    try:
        yield
    except _LOST as error:
        raise Unavailable("Postgres") from error
    except DBAPIError as error:
        causes = list(_causes_of(error))
        if any(isinstance(cause, asyncpg.DataError) for cause in causes):
            raise Invalid(
                "The input holds a value that cannot be stored or looked up: a NUL character, or "
                "a number that is too large. Nothing was changed; mend it and try again."
            ) from error
        if error.connection_invalidated or any(isinstance(cause, _LOST) for cause in causes):
            raise Unavailable("Postgres") from error
        raise


def _require_open(connection: DBAPIConnection, _: object, __: object) -> None:
    """A restarted server is noticed before a statement is lost on a dead connection.

    SQLAlchemy's own ``pool_pre_ping`` asks the server instead, with three statements each time;
    that a connection was closed is known here already. Raises: InvalidatePoolError: so were all
    that are as old, and a new one is made.
    """
    if connection.driver_connection.is_closed():
        raise InvalidatePoolError


def plain_url(database_url: str) -> str:
    """For asyncpg itself, which knows no driver suffix."""
    return database_url.replace("postgresql+asyncpg://", "postgresql://", 1)


def _with_driver(database_url: str) -> str:
    plain = plain_url(database_url).replace("postgres://", "postgresql://", 1)
    return plain.replace("postgresql://", "postgresql+asyncpg://", 1)


def _causes_of(error: DBAPIError) -> Iterator[BaseException]:
    cause: BaseException | None = error.orig
    while cause is not None:
        yield cause
        cause = cause.__cause__
