"""What every driver does with its client, and how it tells the test: one JSON object a line."""

import json
import os
import sys
from asyncio import Event, to_thread
from collections.abc import Awaitable, Callable
from typing import Any

URL, TOKEN = os.environ["CLIENT_URL"], os.environ["CLIENT_TOKEN"]
TOOL, NEW_TOOL = os.environ["CLIENT_TOOL"], os.environ["CLIENT_NEW_TOOL"]
ARGUMENTS = {"a": 20, "b": 22}
HEADERS = {"authorization": f"Bearer {TOKEN}"}


def tell(what: str, found: Any = None) -> None:
    print(json.dumps([what, found]), flush=True)  # noqa: T201 - it is what the test reads


def opening(listening: Event) -> dict[str, list[Any]]:
    """Hooks of an HTTP client; sets it when the stream of the older era is open."""

    async def look(response: Any) -> None:
        if response.request.method == "GET" and response.is_success:
            listening.set()

    return {"response": [look]}


async def play(
    names: Callable[[], Awaitable[list[str]]],
    call: Callable[[], Awaitable[Any]],
    *,
    listening: Event | None = None,
    changed: Event | None = None,
) -> None:
    """``listening``: it would hear of a change now. Without it, the test says when to look."""
    tell("listed", await names())
    tell("called", await call())
    if listening is not None:
        await listening.wait()
    tell("ready")
    while True:
        if changed is None:
            await to_thread(sys.stdin.readline)
        else:
            await changed.wait()
            changed.clear()
            tell("told")
        found = await names()
        if NEW_TOOL in found or changed is None:
            tell("listed again", found)
            return
