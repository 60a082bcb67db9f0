"""Values for tests, each valid by itself."""

from datetime import UTC, datetime
from typing import Any
from uuid import uuid4

from mcpbox.domain.calls import CallableTool
from mcpbox.domain.digests import digest_of
from mcpbox.domain.evidence import Risk
from mcpbox.domain.ids import Digest, ServerId, ToolId, VersionId
from mcpbox.domain.manifests import Granted, Manifest
from mcpbox.domain.review_policy import ReviewFacts
from mcpbox.domain.servers import DesiredState
from mcpbox.domain.subjects import Kind
from mcpbox.domain.tools import ToolVersion, VersionContent

NOW = datetime(2026, 11, 20, 12, tzinfo=UTC)
DIGEST = Digest("sha256:" + "0" * 64)
OTHER_DIGEST = Digest("sha256:" + "1" * 64)
CODE = "async def main(a: int) -> int:\n    return a\n"


def some_content(**changes: Any) -> VersionContent:
    content = VersionContent(
        name="count",
        description="Counts.",
        code=CODE,
        input_schema={"type": "object", "properties": {"a": {"type": "integer"}}},
    )
    return content.model_copy(update=changes)


def a_version(**changes: Any) -> ToolVersion:
    content = some_content(**changes)
    return ToolVersion(
        **content.model_dump(),
        id=VersionId(uuid4()),
        tool_id=ToolId(uuid4()),
        number=1,
        digest=digest_of(content),
        author="client:laptop",
        created_at=NOW,
    )


def a_callable(*hosts: str, **changes: Any) -> CallableTool:
    """Released and callable; ``hosts`` are needed and granted."""
    version = a_version(manifest=Manifest(hosts=hosts))
    tool = CallableTool(
        server_id=ServerId(uuid4()),
        server_name="books",
        server_state=DesiredState.RUNNING,
        enabled=True,
        version=version,
        approved_digest=version.digest,
        receipt="{}",
        granted=Granted(hosts=frozenset(hosts)),
    )
    return tool.model_copy(update=changes)


def review_facts(**changes: Any) -> ReviewFacts:
    """A first version that asks for nothing and passed its checks."""
    facts = ReviewFacts(
        kind=Kind.PUBLISH,
        server="weather",
        tool="forecast",
        requester="client:laptop",
        owner="ana",
        risk=Risk.LOW,
        checks={"guard": "passed", "trial": "passed"},
        hour=12,
        weekday=5,
    )
    return facts.model_copy(update=changes)
