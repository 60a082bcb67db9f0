"""A corpus of tools: every verb with every noun, each with parameters, all by rule.

Nothing is drawn at random, so that figures of two runs are about the same tools.
"""

from uuid import UUID

from benchmarks.tool import CODE
from mcpbox.domain.base import utc_now
from mcpbox.domain.calls import CallableTool
from mcpbox.domain.digests import digest_of
from mcpbox.domain.ids import ServerId, ToolId, VersionId
from mcpbox.domain.manifests import Granted
from mcpbox.domain.servers import DesiredState
from mcpbox.domain.tools import Annotations, ToolVersion
from mcpbox.usecases.tools import content_from

MOST = 1000
_VERBS = (
    *(
        "create",
        "read",
        "update",
        "delete",
        "list",
        "search",
        "count",
        "export",
        "import",
        "archive",
    ),
    *("restore", "approve", "reject", "assign", "merge", "split", "compare", "validate"),
    *("schedule", "cancel", "send", "share", "tag", "summarize", "translate"),
)
_NOUNS = (
    *("invoice", "customer", "order", "payment", "refund", "product", "shipment", "supplier"),
    *("contract", "ticket", "comment", "project", "task", "milestone", "report", "dashboard"),
    *("user", "team", "role", "message", "channel", "document", "folder", "image", "video"),
    *("meeting", "calendar", "reminder", "budget", "expense", "account", "subscription"),
    *("campaign", "lead", "survey", "form", "page", "repository", "branch", "release"),
)
_PARAMETERS = (
    "{noun}_id: str",
    "query: str = ''",
    "limit: int = 20",
    "notify: bool = False",
    "tags: list[str] | None = None",
)


def many_tools(count: int) -> list[CallableTool]:
    """The first ``count``, at most :data:`MOST`, of ten on each server."""
    return [_tool(number) for number in range(count)]


def called_tool() -> CallableTool:
    """The trivial one, on a server of its own."""
    return _callable(MOST, "bench", name="add", code=CODE, description="")


def _tool(number: int) -> CallableTool:
    noun, verb = _NOUNS[number % len(_NOUNS)], _VERBS[number // len(_NOUNS)]
    given = ", ".join(_PARAMETERS[: 1 + number % len(_PARAMETERS)]).format(noun=noun)
    return _callable(
        number,
        f"office_{number // 10:02}",
        name=f"{verb}_{noun}",
        code=f"async def main({given}) -> dict:\n    return {{}}\n",
        description=(
            f"{verb.capitalize()} a {noun} of the company. Use it when somebody wants to {verb} "
            f"one {noun} or several, and says which. Answers with the {noun} as it is afterwards."
        ),
    )


def _callable(number: int, server: str, *, name: str, code: str, description: str) -> CallableTool:
    content = content_from(
        name=name,
        code=code,
        description=description,
        input_schema=None,
        annotations=Annotations(),
    )
    version = ToolVersion(
        **content.model_dump(),
        id=VersionId(UUID(int=number)),
        tool_id=ToolId(UUID(int=number)),
        number=1,
        digest=digest_of(content),
        author="client:bench",
        created_at=utc_now(),
    )
    return CallableTool(
        server_id=ServerId(UUID(int=number // 10)),
        server_name=server,
        server_state=DesiredState.RUNNING,
        enabled=True,
        version=version,
        approved_digest=version.digest,
        receipt="{}",
        granted=Granted(),
    )
