"""Asks our REST API, and says what became of it in one way."""

import asyncio
from functools import cache
from typing import Any, TypeVar

import httpx
from pydantic import TypeAdapter, ValidationError

from ui.problems import ApiProblem, problem_in

TIMEOUT_S = 10.0
"""The in-process transport knows no timeouts of its own."""

Answer = TypeVar("Answer")
Query = dict[str, str | int | list[str]]


class Asking:
    def __init__(self, client: httpx.AsyncClient) -> None:
        self._client = client

    async def close(self) -> None:
        await self._client.aclose()

    async def _ask(
        self,
        method: str,
        path: str,
        kind: type[Answer],
        query: Query | None = None,
        body: dict[str, Any] | None = None,
        *,
        patience_s: float = TIMEOUT_S,
    ) -> Answer:
        response = await self._send(method, path, query, body, patience_s=patience_s)
        try:
            return _reader(kind).validate_json(response.content)
        except ValidationError as error:
            raise ApiProblem(
                502,
                "The API gave an answer that this panel cannot read",
                "The two are of different versions; reload the page, or restart mcpbox.",
            ) from error

    async def _send(
        self,
        method: str,
        path: str,
        query: Query | None = None,
        body: dict[str, Any] | None = None,
        *,
        patience_s: float = TIMEOUT_S,
    ) -> httpx.Response:
        try:
            async with asyncio.timeout(patience_s):
                response = await self._client.request(method, path, params=query, json=body)
        except (httpx.HTTPError, TimeoutError) as error:
            raise ApiProblem(
                503, "The API does not answer", "Nothing was changed; try again in a moment."
            ) from error
        if response.is_error:
            raise problem_in(response)
        return response


@cache
def _reader(kind: type[Answer]) -> TypeAdapter[Answer]:
    return TypeAdapter(kind)
