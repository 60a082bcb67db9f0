"""Tools, their immutable versions, and the releases that make one version callable."""

from datetime import datetime
from enum import StrEnum
from typing import Any

from pydantic import Field

from mcpbox.domain.base import DomainModel
from mcpbox.domain.ids import Digest, ReleaseId, RequestId, ServerId, ToolId, VersionId
from mcpbox.domain.manifests import Manifest
from mcpbox.domain.narrowing import Narrowing
from mcpbox.domain.probation import Probation
from mcpbox.domain.upstreams import Transport, Upstream

NAME_PATTERN = r"^[a-z][a-z0-9_]*$"
NAME_MAX_LENGTH = 62
"""Two names and ``__`` stay within the 128 characters that the MCP specification allows."""
CODE_MAX_BYTES = 256 * 1024


class Approval(StrEnum):
    """The word that LLMs know for where the newest version of a tool stands."""

    DRAFT = "draft"
    PENDING_REVIEW = "pending_review"
    APPROVED = "approved"
    REJECTED = "rejected"


class Annotations(DomainModel):
    """Hints of the author about the tool's behaviour; claims, not facts."""

    read_only: bool | None = None
    destructive: bool | None = None
    idempotent: bool | None = None
    open_world: bool | None = None


class VersionContent(DomainModel):
    """All that a digest covers: change any of it and it is another version."""

    name: str = Field(pattern=NAME_PATTERN, max_length=NAME_MAX_LENGTH)
    description: str
    code: str
    input_schema: dict[str, Any]
    annotations: Annotations = Annotations()
    manifest: Manifest = Manifest()
    passes_to: Upstream | None = None
    """Of a tool of an external source, which has no code: where its calls go."""

    @property
    def in_sandbox(self) -> bool:
        """Whether it is run there; else its calls are passed on over the network."""
        upstream = self.passes_to
        return upstream is None or upstream.endpoint.transport is Transport.STDIO


class ToolVersion(VersionContent):
    id: VersionId
    tool_id: ToolId
    number: int
    digest: Digest
    author: str
    created_at: datetime


class Tool(DomainModel):
    id: ToolId
    server_id: ServerId
    name: str
    enabled: bool
    disabled: Narrowing | None = None
    quarantine: Narrowing | None = None
    created_by: str
    created_at: datetime
    updated_at: datetime


class Release(DomainModel):
    """One version made callable by one request; at most one of a tool is active."""

    id: ReleaseId
    tool_id: ToolId
    version_id: VersionId
    request_id: RequestId
    digest: Digest
    """The digest that was approved; what runs must still have it."""
    approved_by: str
    active_from: datetime
    active_to: datetime | None = None
    revoked: Narrowing | None = None


class ToolSummary(Tool):
    server_name: str
    description: str
    current_version: int
    released_version: int | None
    revoked: Narrowing | None = None
    """Its last release was, and nothing has been released since."""
    approval: Approval
    callable_name: str
    """``{server}__{tool}``, under the released name where there is one."""

    @property
    def held_back(self) -> str:
        """What people did to it that no client undoes; empty when nothing."""
        if self.quarantine is not None:
            return f"It is quarantined {self.quarantine.told}. Only an admin lifts that."
        if self.disabled is not None and not self.disabled.by_client:
            return f"It was disabled {self.disabled.told}. Only people enable it again."
        if self.revoked is not None and self.approval is Approval.REJECTED:
            return f"Its release was revoked {self.revoked.told}. People have to approve it anew."
        return ""


class ToolDetail(ToolSummary):
    current: ToolVersion
    """The newest version, released or not."""
    released: ToolVersion | None
    probation: Probation | None = None
    """Of the newest release, ended or not; ``None`` where that was approved for good."""


def callable_name(server_name: str, tool_name: str) -> str:
    return f"{server_name}__{tool_name}"
