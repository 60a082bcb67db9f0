"""Releases of a tool: what was released when, and asking to go back or to bring one back."""

from mcpbox.domain.errors import Conflict, Invalid, NotFound
from mcpbox.domain.ids import ToolId
from mcpbox.domain.people import Principal
from mcpbox.domain.releases import ReleasedVersion
from mcpbox.domain.requests import RequestSummary, State, workflow_ids_begin
from mcpbox.domain.subjects import RestoreSubject, RollbackSubject
from mcpbox.domain.tools import ToolDetail, ToolVersion
from mcpbox.policies.releases import last_revoked, may_restore, may_roll_back_to
from mcpbox.store import asked_before, releases, tools
from mcpbox.store.session import Sessions, reading
from mcpbox.store.tables.requests import RequestRow
from mcpbox.usecases.requests import Requests


class Releases:
    def __init__(self, sessions: Sessions, requests: Requests) -> None:
        self._sessions = sessions
        self._requests = requests

    async def versions(self, tool_id: ToolId) -> list[ReleasedVersion]:
        """All versions with their releases, newest first. Raises: NotFound."""
        async with reading(self._sessions) as session:
            await tools.get_tool(session, tool_id)
            return await releases.released_versions(session, tool_id)

    async def request_rollback(
        self, by: Principal, tool_id: ToolId, number: int, *, reason: str
    ) -> RequestSummary:
        """Ask that a version which was released once be released again.

        Raises: Conflict: it is released, was never, was revoked, or was denied; Invalid; NotFound;
        Unavailable.
        """
        if not reason.strip():
            raise Invalid(
                "Say in the notes what is wrong with what runs now: reviewers have to know."
            )
        async with reading(self._sessions) as session:
            tool = await tools.get_tool(session, tool_id)
            versions = await releases.released_versions(session, tool_id)
            wanted = next((one for one in versions if one.version.number == number), None)
            if wanted is None:
                raise NotFound("version", number)
            may_roll_back_to(wanted).require()
            subject = RollbackSubject.model_validate(_about(tool, wanted.version))
            ids_begin = workflow_ids_begin(subject, wanted.version.digest)
            earlier = await asked_before.attempts(session, ids_begin)
        _require_other_than_denied(earlier, tool)
        return await self._requests.ask_people(
            by,
            subject,
            wanted.version.digest,
            earlier,
            reason,
            tool.released_version,
        )

    async def request_restore(
        self, by: Principal, tool_id: ToolId, *, reason: str
    ) -> RequestSummary:
        """Ask that the release which a person revoked be made again.

        Raises: Conflict: nothing of it is revoked, or another version runs; Invalid; NotFound;
        Unavailable.
        """
        if not reason.strip():
            raise Invalid("Say in the notes what is different now: reviewers have to know.")
        async with reading(self._sessions) as session:
            tool = await tools.get_tool(session, tool_id)
            versions = await releases.released_versions(session, tool_id)
            wanted = last_revoked(versions)
            if wanted is None:
                raise Conflict(f"The last release of {tool.callable_name!r} was not revoked.")
            may_restore(wanted, versions).require()
            subject = RestoreSubject.model_validate(_about(tool, wanted.version))
            ids_begin = workflow_ids_begin(subject, wanted.version.digest)
            earlier = await asked_before.attempts(session, ids_begin)
        return await self._requests.ask_people(by, subject, wanted.version.digest, earlier, reason)


def _about(tool: ToolDetail, version: ToolVersion) -> dict[str, object]:
    return {
        "server_id": tool.server_id,
        "server_name": tool.server_name,
        "tool_id": tool.id,
        "tool_name": version.name,
        "version_id": version.id,
        "version_number": version.number,
    }


def _require_other_than_denied(earlier: list[RequestRow], tool: ToolDetail) -> None:
    """A denial stays as long as the version that people wanted to keep is the one that runs.

    Raises: Conflict.
    """
    last = earlier[-1] if earlier else None
    now = tool.released.id if tool.released else None
    if last is not None and last.state == State.DENIED and last.released_version_id == now:
        raise Conflict(
            f"Going back to it was denied: {last.state_reason or 'no reason was given'} "
            "Change the tool with mcpbox_update_tool instead."
        )
