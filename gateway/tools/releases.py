"""Management tools about earlier versions: what was released, and asking to go back to one."""

from datetime import datetime

from pydantic import BaseModel, Field

from gateway.definition import Caller, Done, ToolDefinition, ToolInput, ToolOutput
from mcpbox.domain.ids import Digest, RequestId, ToolId
from mcpbox.domain.reasons import REASON_MAX_LENGTH
from mcpbox.domain.releases import ReleasedVersion
from mcpbox.domain.requests import RequestSummary, State
from mcpbox.domain.texts import Text

_TOOL = "The tool's id, from mcpbox_list_tools."
_VERSION_MAX = 2**31 - 1


class ToolVersionsInput(ToolInput):
    tool_id: ToolId = Field(description=_TOOL)


class VersionView(BaseModel):
    version: int
    digest: Digest
    description: str
    author: str
    created_at: datetime
    released: bool = Field(description="It is the one that clients call.")
    released_at: datetime | None = Field(description="The last time; null: never.")
    revoked: bool = Field(description="A person took it back; mcpbox_restore_tool asks for it.")
    revoke_reason: str | None
    can_roll_back: bool = Field(description="mcpbox_rollback_tool may ask for it.")

    @classmethod
    def of(cls, one: ReleasedVersion) -> "VersionView":
        return cls(
            version=one.version.number,
            digest=one.version.digest,
            description=one.version.description,
            author=one.version.author,
            created_at=one.version.created_at,
            released=one.active,
            released_at=one.last.active_from if one.last else None,
            revoked=one.revoked,
            revoke_reason=one.last.revoke_reason if one.last else None,
            can_roll_back=one.can_be_rolled_back_to,
        )


class ToolVersionsOutput(ToolOutput):
    tool_id: ToolId
    versions: list[VersionView] = Field(description="Newest first.")


async def list_tool_versions(caller: Caller, given: ToolVersionsInput) -> ToolVersionsOutput:
    """List every version of a tool: which one clients call, which were released, which revoked."""
    versions = await caller.use_cases.releases.versions(given.tool_id)
    return ToolVersionsOutput(
        tool_id=given.tool_id,
        versions=[VersionView.of(one) for one in versions],
        next="Go back to one that was released with mcpbox_rollback_tool.",
    )


class RequestedRelease(Done):
    request_id: RequestId
    tool_id: ToolId
    name: str
    version: int
    state: State


class RollbackToolInput(ToolInput):
    tool_id: ToolId = Field(description=_TOOL)
    version: int = Field(
        ge=1,
        le=_VERSION_MAX,
        description="One that was released once, from mcpbox_list_tool_versions.",
    )
    notes: Text = Field(
        min_length=1,
        max_length=REASON_MAX_LENGTH,
        description="For the reviewer: what is wrong with the version that runs now.",
    )


async def rollback_tool(caller: Caller, given: RollbackToolInput) -> RequestedRelease:
    """Ask people to go back to an earlier version of a tool that was released once.

    The newest version stays as it is, and may be published again. What runs now goes on until a
    person approves; to stop it at once use mcpbox_update_tool with enabled false.
    """
    request = await caller.use_cases.releases.request_rollback(
        caller.principal, given.tool_id, given.version, reason=given.notes
    )
    return _asked(given.tool_id, request, f"Going back to version {given.version}")


class RestoreToolInput(ToolInput):
    tool_id: ToolId = Field(description=_TOOL)
    notes: Text = Field(
        min_length=1,
        max_length=REASON_MAX_LENGTH,
        description="For the reviewer: why what made a person revoke it does not hold any more.",
    )


async def restore_tool(caller: Caller, given: RestoreToolInput) -> RequestedRelease:
    """Ask people to bring back a tool whose release a person revoked, exactly as it was.

    Reviewers see who revoked it and why. To mend it instead, change it with mcpbox_update_tool and
    ask with mcpbox_request_publish.
    """
    request = await caller.use_cases.releases.request_restore(
        caller.principal, given.tool_id, reason=given.notes
    )
    return _asked(given.tool_id, request, f"Restoring version {request.version_number}")


def _asked(tool_id: ToolId, request: RequestSummary, what: str) -> RequestedRelease:
    return RequestedRelease(
        request_id=request.id,
        tool_id=tool_id,
        name=request.title,
        version=request.version_number or 0,
        state=request.state,
        message=f"{what} of {request.title!r} was asked for.",
        next="A person has to decide; follow it with mcpbox_get_tool_status.",
    )


RELEASE_TOOLS = (
    ToolDefinition(
        "mcpbox_list_tool_versions",
        "List a tool's versions",
        ToolVersionsInput,
        ToolVersionsOutput,
        list_tool_versions,
        read_only=True,
    ),
    ToolDefinition(
        "mcpbox_rollback_tool",
        "Ask to go back to a version",
        RollbackToolInput,
        RequestedRelease,
        rollback_tool,
        idempotent=True,
    ),
    ToolDefinition(
        "mcpbox_restore_tool",
        "Ask to restore a revoked tool",
        RestoreToolInput,
        RequestedRelease,
        restore_tool,
        idempotent=True,
    ),
)
