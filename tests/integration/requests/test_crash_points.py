"""I7: the worker dies at any transaction between a decision and its effect; it is applied once."""

from collections import Counter
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any, Literal, cast

import pytest
from sqlalchemy import func, select, update
from sqlalchemy.ext.asyncio import AsyncSession
from temporalio.exceptions import ApplicationError

from mcpbox.domain.base import utc_now
from mcpbox.domain.hosts import HostAccess
from mcpbox.domain.modules import Requirement
from mcpbox.domain.requests import RequestDetail, RequestSummary, State
from mcpbox.store.session import Sessions
from mcpbox.store.tables.audit import AuditRow
from mcpbox.store.tables.grants import GrantRow
from mcpbox.store.tables.releases import ReleaseRow
from tests.integration.requests.conftest import AUTHOR, Office
from tests.integration.requests.shifts import Forgetful, own_queue, shift

HOST = HostAccess(host="api.example.com")
SHOUTS = "import shout\nasync def main() -> str:\n    return shout.shout('hi')\n"
WANTED = Requirement(module="shout", package="shout")


Way = Literal["before", "after"]
"""Of dying at a transaction: before it is committed, or before anybody hears that it was."""


class Mortal:
    """Sessions of a worker that dies at one of its transactions, and is there again at once."""

    def __init__(self, sessions: Sessions) -> None:
        self._sessions = sessions
        self._left: int | None = None
        self._way: Way = "before"

    def dies_at(self, number: int, way: Way) -> None:
        """``number``: of the transaction, counted from here and from 1."""
        self._left, self._way = number, way

    def lived(self) -> bool:
        """Whether there were fewer transactions than that; from now on it lives."""
        left, self._left = self._left, None
        return left is not None and left > 0

    @asynccontextmanager
    async def begin(self) -> AsyncGenerator[AsyncSession]:
        dies = self._is_the_one()
        async with self._sessions.begin() as session:
            yield session
            if dies and self._way == "before":
                raise _died()
        if dies:
            raise _died()

    @asynccontextmanager
    async def __call__(self, **options: Any) -> AsyncGenerator[AsyncSession]:
        """A look, which changes nothing: before its end and after it are the same."""
        dies = self._is_the_one()
        async with self._sessions(**options) as session:
            yield session
        if dies:
            raise _died()

    def _is_the_one(self) -> bool:
        if self._left is None:
            return False
        self._left -= 1
        return self._left == 0


def _died() -> ApplicationError:
    """As Temporal has it when a worker is gone: tried again, here at once."""
    return ApplicationError("The worker died.", type="Crash")


async def publication(office: Office) -> RequestSummary:
    return await office.requests.request_publish(AUTHOR, (await office.draft()).id)


async def bundle(office: Office) -> RequestSummary:
    tool = await office.draft(SHOUTS)
    return await office.requests.request_publish(AUTHOR, tool.id, requirements=[WANTED])


async def module_grant(office: Office) -> RequestSummary:
    tool = await office.draft()
    return await office.requests.request_module(AUTHOR, tool.server_id, WANTED, days=7)


async def host_grant(office: Office) -> RequestSummary:
    tool = await office.draft()
    return await office.network.request_access(
        AUTHOR, tool.server_id, HOST, days=7, justification="The weather."
    )


async def secret_binding(office: Office) -> RequestSummary:
    tool = await office.draft()
    await office.secrets.create(AUTHOR, tool.server_id, "KEY", ["api.example.com"])
    return await office.secrets.request(AUTHOR, tool.server_id, "KEY", justification="The key.")


async def rollback(office: Office) -> RequestSummary:
    tool = await office.draft()
    await office.decide(await office.asked(tool))
    newer = await office.tools.update(AUTHOR, tool.id, description="Counts better.")
    await office.decide(await office.asked(newer))
    return await office.releases.request_rollback(AUTHOR, tool.id, 1, reason="Not better.")


async def restore(office: Office) -> RequestSummary:
    tool = await office.draft()
    await office.decide(await office.asked(tool))
    now = utc_now()
    async with office.database.sessions.begin() as session:
        await session.execute(
            update(ReleaseRow)
            .where(ReleaseRow.tool_id == tool.id)
            .values(active_to=now, revoked_at=now, revoked_by="person:otto", revoke_reason="Leak.")
        )
    return await office.releases.request_restore(AUTHOR, tool.id, reason="Mended.")


BOTH: tuple[Way, ...] = ("before", "after")
KINDS: dict[Callable[[Office], Awaitable[RequestSummary]], tuple[Way, ...]] = {
    publication: BOTH,
    host_grant: BOTH,
    secret_binding: BOTH,
    # What was not committed was not done: once more that is not tried where it takes long.
    bundle: ("after",),
    module_grant: ("after",),
    rollback: ("after",),
    restore: ("after",),
}
APPLIED_LATER = (host_grant, bundle, module_grant)
"""What ends by itself, and what has to be fetched; the rest is one with its decision."""


@pytest.mark.timeout(240)
@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.__name__)
async def test_i7_wherever_the_worker_dies_after_a_decision_it_is_applied_exactly_once(
    office: Office,
    monkeypatch: pytest.MonkeyPatch,
    kind: Callable[[Office], Awaitable[RequestSummary]],
) -> None:
    """All it did is in the database alone: its workflows begin every task with the history."""
    monkeypatch.setattr("activities.worker.Worker", Forgetful)
    office.index.add("shout", files={"shout.py": "def shout(text): return text.upper()\n"})
    mortal = Mortal(office.database.sessions)
    async with shift(office, own_queue(monkeypatch), sessions=cast("Any", mortal)):

        async def applied_once(number: int, way: Way) -> tuple[Counter[str], bool]:
            request = await office.when(await kind(office), State.AWAITING_DECISION)
            mortal.dies_at(number, way)
            # Answered or not: a slow machine may keep the answer from coming in time.
            await office.decide(request)
            await office.when(request, State.APPLIED)
            return await traces(office, request), mortal.lived()

        found: list[Counter[str]] = []
        lived = False
        while not lived:
            traced, lived = await applied_once(len(found) + 1, "after")
            found.append(traced)
        unharmed = found.pop()
        assert unharmed["request:decision:added"] == unharmed["request:change:applied"] == 1
        assert len(found) >= (2 if kind in APPLIED_LATER else 1)
        if "before" in KINDS[kind]:
            for number in range(1, len(found) + 1):
                traced, _ = await applied_once(number, "before")
                found.append(traced)
        assert found == [unharmed] * len(found)


async def traces(office: Office, request: RequestDetail) -> Counter[str]:
    """``{event, or table: how often}``, of all that a decision left behind."""
    async with office.database.sessions.begin() as session:
        told = await session.scalars(
            select(AuditRow.action).where(
                (AuditRow.subject == f"request:{request.id}")
                | AuditRow.facts.contains({"request": str(request.id)})
            )
        )
        found: Counter[str] = Counter(told)
        for row in (ReleaseRow, GrantRow):
            counted = select(func.count()).where(row.request_id == request.id)
            found[row.__tablename__] = await session.scalar(counted) or 0
    found["decisions"] = len((await office.requests.get(request.id)).decisions)
    return found
