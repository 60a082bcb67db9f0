"""Requests for hosts: the kind that needs no sandbox, so that there can be many."""

from datetime import timedelta
from uuid import uuid4

from sqlalchemy import func, select

from mcpbox.domain.commands import ReviseCommand
from mcpbox.domain.digests import digest_of_access
from mcpbox.domain.hosts import HostAccess
from mcpbox.domain.ids import ServerId
from mcpbox.domain.people import Principal
from mcpbox.domain.requests import Outcome, RequestDetail, RequestSummary, State
from mcpbox.domain.subjects import HostSubject
from mcpbox.store.tables.grants import GrantRow
from mcpbox.store.tables.requests import RequestRow
from mcpbox.temporal import Message
from tests.integration.requests.conftest import AUTHOR, GateTo, Office
from tests.integration.requests.test_operator_input import waiting_again

PATIENCE = timedelta(minutes=2)


async def a_server(office: Office, name: str = "") -> ServerId:
    name = name or f"s{uuid4().hex[:8]}"
    return ServerId((await office.servers.create(AUTHOR, name=name, description="")).id)


async def asked(office: Office, server: ServerId, *, by: Principal = AUTHOR) -> RequestDetail:
    """It waits for a decision, and its workflow for nothing else."""
    access = HostAccess(host=f"h{uuid4().hex[:12]}.example.com")
    request = await office.network.request_access(
        by, server, access, justification="The weather is there."
    )
    waiting = await office.when(request, State.AWAITING_DECISION)
    await waiting_again(office, waiting)
    return waiting


def revision_of(request: RequestSummary, number: int, *, by: Principal = AUTHOR) -> ReviseCommand:
    """Another path of the host; the same number is the same path.

    No face revises a request for a host, but its workflow does, as it does for every kind.
    """
    assert request.access is not None
    access = request.access.model_copy(update={"path_prefix": f"/v{number}"})
    return ReviseCommand(
        by=by,
        subject=HostSubject(
            server_id=request.server_id, server_name=request.server_name, access=access
        ),
        digest=digest_of_access(request.server_id, access, days=None),
        notes=f"Path {number}.",
    )


async def revised(
    office: Office, request: RequestSummary, number: int, *, by: Principal = AUTHOR
) -> Outcome:
    return await GateTo(office.env.client).update(
        request.workflow_id,
        Message.REVISE,
        revision_of(request, number, by=by),
        Outcome,
        patience=PATIENCE,
    )


async def superseded(office: Office, request: RequestSummary) -> None:
    """As newer requests do it, for this path of the host and the next: but they are rows alone."""
    async with office.database.sessions.begin() as session:
        older = await session.get_one(RequestRow, request.id)
        columns = RequestRow.__table__.columns.keys()
        for subject in (older.subject, revision_of(request, 2).subject.model_dump(mode="json")):
            newer = RequestRow(**{name: getattr(older, name) for name in columns})
            newer.id, newer.workflow_id = uuid4(), f"newer/{uuid4()}"
            newer.subject, newer.state = subject, State.WITHDRAWN
            newer.created_at = older.created_at + timedelta(seconds=1)
            session.add(newer)
    await office.workflow(request).signal(Message.SUPERSEDE, "a newer one")


async def grants_of(office: Office, request: RequestSummary) -> int:
    async with office.database.sessions.begin() as session:
        counted = select(func.count()).where(GrantRow.request_id == request.id)
        return await session.scalar(counted) or 0


async def outcome_of(office: Office, request: RequestSummary) -> Outcome:
    """As its workflow has it, running or closed."""
    return await office.workflow(request).query("outcome", result_type=Outcome)
