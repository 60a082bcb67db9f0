"""What bad input is about: a tool, a request that waits, and one that was denied."""

from dataclasses import dataclass
from typing import Any
from uuid import uuid4

from tests.instances import Installed
from tests.mcp_clients import author_on
from tests.reviewing import Reviewer

UNKNOWN = str(uuid4())
MCP_HEADERS = {"accept": "application/json, text/event-stream"}


@dataclass(frozen=True)
class Desk:
    """What the bad input is about."""

    server_id: str
    server_name: str
    tool_id: str
    waiting_id: str
    digest: str
    finished_id: str
    finished_digest: str

    def fill(self, value: Any) -> Any:
        """``"$tool_id"`` and so on, at any depth, replaced by the desk's own."""
        match value:
            case str() if value.startswith("$"):
                return getattr(self, value[1:])
            case dict():
                return {name: self.fill(inner) for name, inner in value.items()}
            case _:
                return value


async def set_desk(instance: Installed, reviewer: Reviewer) -> Desk:
    async with author_on(instance) as author:
        draft = await author.draft()
        waiting_id = await author.ask(draft, sample_arguments={"a": 1})
        finished_id = await author.ask(await author.draft(), sample_arguments={"a": 1})
    waiting = await reviewer.when(waiting_id, "awaiting_decision")
    finished = await reviewer.when(finished_id, "awaiting_decision")
    denied = await reviewer.decide(finished, "deny")
    assert denied.status_code == 201, denied.text
    return Desk(
        server_id=draft.server_id,
        server_name=draft.callable_name.partition("__")[0],
        tool_id=draft.tool_id,
        waiting_id=waiting_id,
        digest=waiting["digest"],
        finished_id=finished_id,
        finished_digest=finished["digest"],
    )


def with_token(instance: Installed) -> dict[str, str]:
    return MCP_HEADERS | {
        "authorization": f"Bearer {instance.client_token}",
        "content-type": "application/json",
    }
