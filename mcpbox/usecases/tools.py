"""Tools: list, create, change, delete. A change makes a new version and releases nothing."""

from typing import Any

from sqlalchemy.exc import IntegrityError

from mcpbox.domain.audit import Action
from mcpbox.domain.base import Page, PageRequest, utc_now
from mcpbox.domain.digests import digest_of
from mcpbox.domain.errors import InvalidCode, NameTaken
from mcpbox.domain.extraction import read_source
from mcpbox.domain.ids import ServerId, ToolId
from mcpbox.domain.narrowing import Switch
from mcpbox.domain.people import Principal
from mcpbox.domain.tools import (
    Annotations,
    ToolDetail,
    ToolSummary,
    ToolVersion,
    VersionContent,
)
from mcpbox.policies.narrowing import may_switch
from mcpbox.policies.schemas import require_schema
from mcpbox.policies.servers import may_write_tools
from mcpbox.store import asked_before, search, servers, tools
from mcpbox.store.audit import add_event
from mcpbox.store.changes import Topic, announce
from mcpbox.store.session import Sessions, reading, transaction
from mcpbox.usecases.names import checked_description, checked_name
from mcpbox.usecases.refusals import refusals_recorded
from mcpbox.usecases.requests import Requests
from mcpbox.usecases.tool_switches import set_enabled


class Tools:
    def __init__(self, sessions: Sessions, requests: Requests) -> None:
        self._sessions = sessions
        self._requests = requests

    async def versions(self, tool_id: ToolId) -> list[ToolVersion]:
        """Newest first. Raises: NotFound."""
        async with reading(self._sessions) as session:
            await tools.get_tool(session, tool_id)
            return await tools.versions(session, tool_id)

    async def search(self, words: str) -> list[str]:
        """Callable names of released tools that match any of the words, best first."""
        async with reading(self._sessions) as session:
            return await search.released_names(session, words)

    async def list(self, server_id: ServerId | None, page: PageRequest) -> Page[ToolSummary]:
        """By server name, then name. Raises: NotFound: no such server."""
        async with reading(self._sessions) as session:
            if server_id is not None:
                await servers.require_server(session, server_id)
            return await tools.tools(session, page, server_id)

    async def get(self, tool_id: ToolId) -> ToolDetail:
        """Raises: NotFound."""
        async with reading(self._sessions) as session:
            return await tools.get_tool(session, tool_id)

    async def create(
        self,
        by: Principal,
        server_id: ServerId,
        *,
        name: str,
        code: str,
        description: str,
        input_schema: dict[str, Any] | None = None,
        annotations: Annotations | None = None,
    ) -> ToolDetail:
        """Its first version; nothing can call it before it is published.

        ``input_schema``: only to say more than the signature of ``main`` does.
        Raises: Invalid; InvalidCode; NotFound: no such server; NameTaken.
        """
        content = content_from(
            name=checked_name("tool", name),
            code=code,
            description=description,
            input_schema=input_schema,
            annotations=annotations or Annotations(),
        )
        try:
            async with transaction(self._sessions) as session:
                may_write_tools(await servers.get_server(session, server_id)).require()
                row = await tools.add_tool(session, server_id, content, by.label)
                add_event(
                    session,
                    actor=by.label,
                    action=Action.TOOL_CREATED,
                    subject=f"tool:{row.id}",
                    detail=name,
                )
        except IntegrityError as error:
            raise NameTaken("tool", name) from error
        return await self.get(ToolId(row.id))

    async def update(
        self,
        by: Principal,
        tool_id: ToolId,
        *,
        name: str | None = None,
        description: str | None = None,
        code: str | None = None,
        enabled: bool | None = None,
        input_schema: dict[str, Any] | None = None,
        annotations: Annotations | None = None,
    ) -> ToolDetail:
        """Whatever the digest covers makes a new version; the released one stays as it is.

        Raises: Invalid; InvalidCode; NotFound; NameTaken; Refused, Conflict: it may not be enabled.
        """
        if name is not None:
            checked_name("tool", name)
        switch = Switch.ENABLE if enabled else Switch.DISABLE
        recorded = refusals_recorded(self._sessions, by, switch, f"tool:{tool_id}")
        try:
            async with recorded, transaction(self._sessions) as session:
                row = await tools.get_tool_row(session, tool_id)
                before = (await tools.get_tool(session, tool_id)).current
                content: VersionContent = before
                if (name, description, code, input_schema, annotations) != (None,) * 5:
                    may_write_tools(await servers.get_server(session, row.server_id)).require()
                    content = content_from(
                        name=before.name if name is None else name,
                        code=before.code if code is None else code,
                        description=before.description if description is None else description,
                        # A schema of its own holds as long as the code does.
                        input_schema=before.input_schema
                        if input_schema is None and code is None
                        else input_schema,
                        annotations=annotations or before.annotations,
                    )
                row.name = content.name
                row.updated_at = utc_now()
                if enabled is not None:
                    set_enabled(session, by, row, enabled=enabled)
                if digest_of(content) != before.digest:
                    await tools.add_version(session, tool_id, before.number + 1, content, by.label)
                    add_event(
                        session,
                        actor=by.label,
                        action=Action.TOOL_UPDATED,
                        subject=f"tool:{tool_id}",
                        detail=f"version {before.number + 1}",
                    )
        except IntegrityError as error:
            raise NameTaken("tool", str(name)) from error
        return await self.get(tool_id)

    async def delete(self, by: Principal, tool_id: ToolId) -> None:
        """No longer callable at once; versions, requests and log stay for the record.

        Its open requests are withdrawn; one that cannot be reached now fails when it is applied.
        Raises: NotFound; Refused: a person's word outranks it.
        """
        recorded = refusals_recorded(self._sessions, by, Switch.DELETE, f"tool:{tool_id}")
        async with recorded, transaction(self._sessions) as session:
            row = await tools.get_tool_row(session, tool_id)
            may_switch(by, Switch.DELETE, tools.standing_of(row)).require()
            await tools.delete_tools(session, [tool_id], at=utc_now())
            announce(session, Topic.CATALOG, tool_id)
            waiting = await asked_before.open_workflows(session, tool_id)
            add_event(
                session,
                actor=by.label,
                action=Action.TOOL_DELETED,
                subject=f"tool:{tool_id}",
                detail=row.name,
            )
        await self._requests.withdraw_all(waiting, reason="The tool was deleted.")


def content_from(
    *,
    name: str,
    code: str,
    description: str,
    input_schema: dict[str, Any] | None,
    annotations: Annotations,
) -> VersionContent:
    """Everything a digest covers, checked. Raises: Invalid; InvalidCode."""
    report = read_source(code)
    if not report.valid:
        raise InvalidCode(report.problems)
    if input_schema is not None:
        require_schema(input_schema)
    return VersionContent(
        name=name,
        description=checked_description(description),
        code=code,
        input_schema=report.input_schema if input_schema is None else input_schema,
        annotations=annotations,
        manifest=report.manifest,
    )
