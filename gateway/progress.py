"""What a tool prints, on its way to a client that asked to be told of progress."""

from typing import Any

from mcp.server import ServerRequestContext

from mcpbox.sandbox_client import OnOutput


def teller_for(context: ServerRequestContext[Any, Any]) -> OnOutput | None:
    """``None``: the client gave no token, so nothing need be streamed.

    Progress is counted in characters: how many there will be, nobody knows.
    """
    if (context.meta or {}).get("progress_token") is None:
        return None
    told = 0

    async def tell(text: str) -> None:
        nonlocal told
        told += len(text)
        await context.session.report_progress(told, message=text.rstrip("\n"))

    return tell
