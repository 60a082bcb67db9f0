"""Among many requests that wait, what is wanted is found without reading all of them."""

from datetime import timedelta
from uuid import UUID, uuid4

import pytest
import pytest_asyncio
from sqlalchemy import event, insert, text
from sqlalchemy.ext.asyncio import AsyncSession

from mcpbox.domain.base import PageRequest
from mcpbox.domain.hosts import HostAccess
from mcpbox.domain.ids import ServerId
from mcpbox.domain.requests import State
from mcpbox.domain.subjects import HostSubject, Kind
from mcpbox.store import asked_before, requests
from mcpbox.store.tables.requests import RequestRow
from mcpbox.store.tables.servers import ServerRow
from tests.factories import NOW
from tests.integration.conftest import Database

SERVERS = 100
WAITING = 3000
OPEN = tuple(state for state in State if not state.terminal)


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def servers(database: Database) -> list[UUID]:
    """Each with its share of the requests that wait."""
    ids = [uuid4() for _ in range(SERVERS)]
    async with database.sessions.begin() as session:
        await session.execute(
            insert(ServerRow),
            [
                {
                    "id": server_id,
                    "name": f"s{number}",
                    "description": "",
                    "kind": "authored",
                    "desired_state": "running",
                    "created_by": "client:laptop",
                    "created_at": NOW,
                    "updated_at": NOW,
                }
                for number, server_id in enumerate(ids)
            ],
        )
        await session.execute(
            insert(RequestRow),
            [
                {
                    "id": uuid4(),
                    "workflow_id": f"host_grant/{number}/0",
                    "kind": Kind.HOST_GRANT,
                    "state": State.AWAITING_DECISION,
                    "state_reason": "",
                    "server_id": server_id,
                    "subject": subject_on(server_id, number).model_dump(mode="json"),
                    "digest": f"sha256:{number}",
                    "requester": "client:laptop",
                    "notes": "",
                    "quorum": 1,
                    "needs": {},
                    "created_at": NOW + timedelta(seconds=number),
                    "updated_at": NOW,
                    "expires_at": NOW + timedelta(days=7),
                }
                for number in range(WAITING)
                for server_id in [ids[number % SERVERS]]
            ],
        )
        await session.execute(text("ANALYZE change_requests"))
    return ids


def subject_on(server_id: UUID, number: int) -> HostSubject:
    access = HostAccess(host=f"h{number}.example.com")
    return HostSubject(server_id=ServerId(server_id), server_name="s", access=access, days=None)


@pytest.mark.parametrize("page_size", [1, 100])
async def test_a_page_costs_two_queries_however_long_it_is(
    database: Database, servers: list[UUID], page_size: int
) -> None:
    asked: list[str] = []
    engine = database.sessions.kw["bind"].sync_engine

    def note(_: object, __: object, statement: str, *___: object) -> None:
        asked.append(statement)

    event.listen(engine, "before_cursor_execute", note)
    async with database.sessions.begin() as session:
        page = await requests.requests(session, PageRequest(page_size=page_size), OPEN)
    event.remove(engine, "before_cursor_execute", note)

    assert (page.total, len(page.items)) == (WAITING, page_size)
    assert page.items[0].created_at == NOW + timedelta(seconds=WAITING - 1)
    assert len([statement for statement in asked if "change_requests" in statement]) == 2


async def test_an_ask_reads_what_is_about_the_same_alone(
    database: Database, servers: list[UUID]
) -> None:
    async with database.sessions.begin() as session:
        before = await rows_read(session)
        earlier = await asked_before.attempts(session, "host_grant/1234/")
        subject = subject_on(servers[34], 1234)
        older = await asked_before.older_workflows(session, subject, besides=uuid4())
        after = await rows_read(session)

    assert [row.workflow_id for row in earlier] == older == ["host_grant/1234/0"]
    assert after - before < WAITING / SERVERS * 2


async def rows_read(session: AsyncSession) -> int:
    """Of the table of requests in this transaction, by scans and through indexes."""
    found = await session.execute(
        text(
            "SELECT seq_tup_read + coalesce(idx_tup_fetch, 0) FROM pg_stat_xact_user_tables"
            " WHERE relname = 'change_requests'"
        )
    )
    return found.scalar_one()
