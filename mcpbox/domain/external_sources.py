"""External sources: other MCP servers, what they offer, and how they were when last looked at."""

from collections.abc import Mapping
from datetime import datetime
from enum import StrEnum
from typing import Any

from pydantic import Field

from mcpbox.domain.base import DomainModel
from mcpbox.domain.grants import GrantKind
from mcpbox.domain.ids import Digest, RequestId, ServerId, SnapshotId, SourceId, ToolId
from mcpbox.domain.upstreams import Endpoint

TOOLS_MAX = 500
"""Of one source; what offers more is not looked at further."""
LISTING_MAX_BYTES = 4 * 2**20


class SourceState(StrEnum):
    UNCHECKED = "unchecked"
    """Nobody has looked yet."""
    BLOCKED = "blocked"
    """It may not be reached: a grant, a secret or a consent is missing."""
    HEALTHY = "healthy"
    UNREACHABLE = "unreachable"
    """It did not answer, or not as the protocol says."""


class ListedTool(DomainModel):
    """A tool as its source lists it; every word of it is the source's."""

    name: str
    title: str = ""
    description: str = ""
    input_schema: dict[str, Any]
    output_schema: dict[str, Any] | None = None
    annotations: dict[str, Any] = Field(default_factory=dict)
    """As in the protocol: ``readOnlyHint`` and so on."""


class Listing(DomainModel):
    """What a source answered."""

    tools: tuple[ListedTool, ...]
    server_name: str = ""
    server_version: str = ""
    protocol: str = ""
    """The version that was agreed on."""


class CapabilitySnapshot(Listing):
    """A listing that is kept; its digest names all tools of it."""

    id: SnapshotId
    source_id: SourceId
    digest: Digest
    taken_at: datetime


class ExternalSource(DomainModel):
    id: SourceId
    server_id: ServerId
    server_name: str
    endpoint: Endpoint
    """Never changes: another endpoint is another source."""
    allow_private: bool = False
    """An admin consented that its address may be on a private network, and without TLS."""
    state: SourceState = SourceState.UNCHECKED
    problem: str = ""
    """Why it is not healthy."""
    checked_at: datetime | None = None
    failures: int = 0
    """Checks in a row that failed."""
    offered_count: int = 0
    released_count: int = 0
    created_by: str
    created_at: datetime


class Offer(StrEnum):
    """Where one tool that a source offers, or offered, stands here."""

    NEW = "new"
    """Offered, and nobody asked for it."""
    UNUSABLE = "unusable"
    ASKED = "asked"
    """People are asked about it, or said no."""
    RELEASED = "released"
    """Clients can call it, as it is offered now."""
    CHANGED = "changed"
    """It is no longer what was approved, so it is hidden."""
    GONE = "gone"
    """Released once, and no longer offered."""


class OfferedTool(DomainModel):
    name: str
    """What it is called here, without the server's name."""
    source_name: str
    """What its source calls it."""
    title: str = ""
    description: str
    input_schema: dict[str, Any]
    offer: Offer
    problem: str = ""
    """Why it is unusable."""
    tool_id: ToolId | None = None
    """Once somebody asked for it."""


class ImportedTool(DomainModel):
    """A tool of ours that passes its calls on, by its newest version."""

    tool_id: ToolId
    name: str
    source_name: str
    description: str
    input_schema: dict[str, Any]
    released: Digest | None = None
    last_released: Digest | None = None
    """Of the release before, where none is active."""


class SourceDetail(ExternalSource):
    blocked: str = ""
    """Why it may not be reached now, and what to do; empty where it may."""
    snapshot: CapabilitySnapshot | None = None
    tools: tuple[OfferedTool, ...] = ()
    """By name."""


class ImportedOffer(DomainModel):
    """What became of the wish to import one tool."""

    name: str
    tool_id: ToolId | None = None
    request_id: RequestId | None = None
    """People are asked by it; ``None``: ``problem`` says why not."""
    problem: str = ""


class NeedState(StrEnum):
    MISSING = "missing"
    """Nobody asked for it yet, or people said no."""
    ASKED = "asked"
    UNSET = "unset"
    """A secret that may be used, and has no value yet."""
    MET = "met"


class SourceNeed(DomainModel):
    """One thing that people have to grant before a source is reached."""

    kind: GrantKind
    value: str
    """As a grant has it: methods, host and path; the import name of a module; a secret's name."""
    state: NeedState
    request_id: RequestId | None = None
    """The open one that asks for it."""


class SourceCheck(DomainModel):
    """What starts the workflow that looks at a source."""

    source_id: SourceId


class SourceChecked(DomainModel):
    state: SourceState
    withdrawn: int = 0
    """Released tools that were no longer what was approved."""
    asked: int = 0
    """Requests that were opened about them."""


def known_annotations(annotations: Mapping[str, Any]) -> dict[str, bool | None]:
    """Those hints that are hints: what is no truth value is not said."""
    names = {
        "read_only": "readOnlyHint",
        "destructive": "destructiveHint",
        "idempotent": "idempotentHint",
        "open_world": "openWorldHint",
    }
    found = {ours: annotations.get(theirs) for ours, theirs in names.items()}
    return {name: value if isinstance(value, bool) else None for name, value in found.items()}
