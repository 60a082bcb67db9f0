"""A reviewer's side of the story, over REST."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any
from uuid import uuid4

import httpx

PATIENCE_S = 30.0
_LOOK_AGAIN_S = 0.05


class Reviewer:
    def __init__(self, api: httpx.AsyncClient) -> None:
        self.api = api

    async def get(self, path: str) -> Any:
        answer = await self.api.get(path)
        assert answer.is_success, answer.text
        return answer.json()

    async def request(self, request_id: str) -> dict[str, Any]:
        return await self.get(f"/requests/{request_id}")

    async def when(self, request_id: str, *states: str) -> dict[str, Any]:
        """The request, once it is in one of these states."""

        async def reached() -> dict[str, Any] | None:
            answer = await self.api.get(f"/requests/{request_id}")
            found = answer.json() if answer.is_success else {}
            return found if found.get("state") in states else None

        return await eventually(reached)

    async def decide(
        self, request: dict[str, Any], verdict: str = "approve", **more: Any
    ) -> httpx.Response:
        draft = {
            "id": str(uuid4()),
            "verdict": verdict,
            "reason": "Read it.",
            "seen_digest": request["digest"],
        }
        return await self.api.post(f"/requests/{request['id']}/decisions", json=draft | more)

    async def approve(self, request_id: str) -> dict[str, Any]:
        """The outcome of approving, when it has taken effect."""
        answer = await self.decide(await self.when(request_id, "awaiting_decision"))
        assert answer.status_code == 201, answer.text
        return answer.json()


async def eventually(look: Callable[[], Awaitable[Any]]) -> Any:
    """What ``look`` finds, once it finds something; for what no event can be awaited for."""
    async with asyncio.timeout(PATIENCE_S):
        while not (found := await look()):  # noqa: ASYNC110 - it happens in another process
            await asyncio.sleep(_LOOK_AGAIN_S)
    return found
