"""What was asked before about the same thing: what a new ask meets, and what it supersedes."""

import re
from typing import Any
from uuid import UUID

from sqlalchemy import ARRAY, Text, all_, bindparam, literal, select
from sqlalchemy.ext.asyncio import AsyncSession

from mcpbox.domain.ids import Digest, RequestId
from mcpbox.domain.requests import TERMINAL, State
from mcpbox.domain.subjects import Kind, Subject, VersionSubject
from mcpbox.store.requests import read_subject, subject_in
from mcpbox.store.tables.requests import RequestRow

_ATTEMPTS = (
    select(RequestRow)
    .where(RequestRow.workflow_id.like(bindparam("beginning")))
    .order_by(RequestRow.created_at)
)
_OPEN_OF_KIND = (
    select(RequestRow.workflow_id, RequestRow.tool_id, RequestRow.subject)
    .where(
        RequestRow.server_id == bindparam("server_id"),
        RequestRow.kind == bindparam("kind"),
        # An IN would be spelled out anew each time.
        RequestRow.state != all_(literal(sorted(TERMINAL), ARRAY(Text))),
        RequestRow.id != bindparam("besides"),
    )
    .order_by(RequestRow.created_at)
)


async def attempts(session: AsyncSession, workflow_ids_begin: str) -> list[RequestRow]:
    """Every request ever made for the same thing, oldest first.

    Index: ``ix_change_requests_workflow_id_prefix``.
    """
    return list(await session.scalars(_ATTEMPTS, {"beginning": _pattern(workflow_ids_begin)}))


async def open_publications(session: AsyncSession, tool_id: UUID) -> list[RequestRow]:
    """Requests to publish the tool that have not ended, newest first."""
    rows = await session.scalars(
        select(RequestRow)
        .where(
            RequestRow.tool_id == tool_id,
            RequestRow.kind == Kind.PUBLISH,
            RequestRow.state.not_in(TERMINAL),
        )
        .order_by(RequestRow.created_at.desc())
    )
    return list(rows)


async def denied_publication(
    session: AsyncSession, tool_id: UUID, digest: Digest
) -> RequestRow | None:
    """The newest request about exactly this version, if it was denied or vetoed."""
    row = await session.scalar(
        select(RequestRow)
        .where(
            RequestRow.tool_id == tool_id,
            RequestRow.kind == Kind.PUBLISH,
            RequestRow.digest == digest,
        )
        .order_by(RequestRow.created_at.desc())
        .limit(1)
    )
    return row if row is not None and row.state in (State.DENIED, State.VETOED) else None


async def open_workflows(session: AsyncSession, tool_id: UUID) -> list[str]:
    """Workflow ids of the requests about this tool that can still end, oldest first."""
    found = await session.scalars(
        select(RequestRow.workflow_id)
        .where(RequestRow.tool_id == tool_id, RequestRow.state.not_in(TERMINAL))
        .order_by(RequestRow.created_at)
    )
    return list(found)


async def open_workflows_of_server(session: AsyncSession, server_id: UUID) -> list[str]:
    """Workflow ids of the requests about it and its tools that can still end, oldest first."""
    found = await session.scalars(
        select(RequestRow.workflow_id)
        .where(RequestRow.server_id == server_id, RequestRow.state.not_in(TERMINAL))
        .order_by(RequestRow.created_at)
    )
    return list(found)


async def open_grant_requests(
    session: AsyncSession, server_id: UUID
) -> list[tuple[RequestId, Subject]]:
    """For a module, a host or a secret of the server, and not ended; oldest first.

    Index: ``ix_change_requests_server_id_kind``.
    """
    rows = await session.scalars(
        select(RequestRow)
        .where(
            RequestRow.server_id == server_id,
            RequestRow.kind.in_([kind for kind in Kind if kind.grants]),
            RequestRow.state.not_in(TERMINAL),
        )
        .order_by(RequestRow.created_at)
    )
    return [(RequestId(row.id), subject_in(row)) for row in rows]


async def older_workflows(session: AsyncSession, subject: Subject, *, besides: UUID) -> list[str]:
    """Workflow ids of open requests that one about this subject supersedes, oldest first.

    Index: ``ix_change_requests_server_id_kind``.
    """
    found = await session.execute(
        _OPEN_OF_KIND,
        {"server_id": subject.server_id, "kind": subject.kind, "besides": besides},
    )
    return [workflow_id for workflow_id, tool_id, of in found if _is_about(tool_id, of, subject)]


async def successor_of(session: AsyncSession, row: RequestRow) -> str | None:
    """Label of the newest request about the same thing; ``None``: there is no newer one.

    Index: ``ix_change_requests_server_id_kind``.
    """
    newer = await session.execute(
        select(RequestRow.tool_id, RequestRow.subject)
        .where(
            RequestRow.server_id == row.server_id,
            RequestRow.kind == row.kind,
            RequestRow.created_at > row.created_at,
        )
        .order_by(RequestRow.created_at.desc())
    )
    subject = subject_in(row)
    labels = (read_subject(of).label for tool_id, of in newer if _is_about(tool_id, of, subject))
    return next(labels, None)


def _pattern(beginning: str) -> str:
    return re.sub(r"[\\%_]", r"\\\g<0>", beginning) + "%"


def _is_about(tool_id: UUID | None, of: dict[str, Any], subject: Subject) -> bool:
    """Whether a request, of the same kind, is about the same thing as ``subject``."""
    if isinstance(subject, VersionSubject):
        return tool_id == subject.tool_id
    return read_subject(of).thing == subject.thing
