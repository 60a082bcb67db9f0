"""From a person's decision to a call by a client that was listening; and writing a tool."""

import asyncio
import time
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any
from uuid import uuid4

import aiohttp

from benchmarks.instance import PASSWORD, Installation
from benchmarks.mcp_http import ERAS, Era, McpClient, McpRefused, connected
from benchmarks.samples import BenchmarkFailed, Latency, latency_of
from benchmarks.tool import ANSWER, ARGUMENTS, CODE

_PATIENCE_S = 30.0
_LOOK_AGAIN_S = 0.02


@dataclass(frozen=True)
class Approvals:
    """Each from the moment that the decision is sent."""

    decision_to_answer: Latency
    """The reviewer knows."""
    decision_to_list_changed: Latency
    """The listening client is told."""
    decision_to_callable: Latency
    """The listening client has called the tool, and has its result."""


@dataclass
class _Durations:
    answer_s: list[float] = field(default_factory=list[float])
    list_changed_s: list[float] = field(default_factory=list[float])
    callable_s: list[float] = field(default_factory=list[float])

    def told(self) -> Approvals:
        return Approvals(
            decision_to_answer=latency_of(self.answer_s),
            decision_to_list_changed=latency_of(self.list_changed_s),
            decision_to_callable=latency_of(self.callable_s),
        )


class Office:
    """An author with a server of their own, and a reviewer."""

    def __init__(
        self, author: McpClient, api: aiohttp.ClientSession, server: dict[str, Any]
    ) -> None:
        self._author = author
        self._api = api
        self._server = server

    async def create_tool(self) -> tuple[str, str]:
        """Id, and the name under which it can be called once it is released."""
        name = f"t{uuid4().hex[:12]}"
        made = await self._author.call(
            "mcpbox_create_tool",
            {"server_id": self._server["id"], "name": name, "python_code": CODE},
        )
        return made["id"], f"{self._server['name']}__{name}"

    async def ask(self, tool_id: str) -> dict[str, Any]:
        """The request to publish it, open for decision."""
        asked = await self._author.call(
            "mcpbox_request_publish", {"tool_id": tool_id, "sample_arguments": ARGUMENTS}
        )
        async with asyncio.timeout(_PATIENCE_S):
            while True:
                async with self._api.get(f"requests/{asked['request_id']}") as answer:
                    request = await answer.json()
                if request.get("state") == "awaiting_decision":
                    return request
                await asyncio.sleep(_LOOK_AGAIN_S)

    async def approve(self, request: dict[str, Any]) -> None:
        decision = {
            "id": str(uuid4()),
            "verdict": "approve",
            "reason": "",
            "seen_digest": request["digest"],
        }
        async with self._api.post(f"requests/{request['id']}/decisions", json=decision) as answer:
            outcome = await answer.json()
            if answer.status != 201 or outcome["state"] != "applied":
                raise BenchmarkFailed(f"The decision was answered {answer.status}: {outcome}")

    async def publish(self) -> str:
        """The name under which it can be called."""
        tool_id, name = await self.create_tool()
        await self.approve(await self.ask(tool_id))
        return name


@asynccontextmanager
async def office_of(installation: Installation, token: str) -> AsyncGenerator[Office]:
    async with (
        connected(installation.gateway_url, "2026-07-28", token=token) as (author,),
        _signed_in(installation.api_url) as api,
    ):
        server = await author.call(
            "mcpbox_create_server", {"name": f"s{uuid4().hex[:8]}", "description": "Benchmarks."}
        )
        yield Office(author, api, server)


async def measure_create_tool(office: Office, *, samples: int) -> Latency:
    durations: list[float] = []
    await office.create_tool()
    for _ in range(samples):
        began = time.perf_counter()
        await office.create_tool()
        durations.append(time.perf_counter() - began)
    return latency_of(durations)


async def measure_approvals(
    office: Office, url: str, token: str, *, samples: int
) -> dict[Era, Approvals]:
    """``samples`` per era; a client of each is connected and listens, and they take turns."""
    modern, older = ERAS
    async with (
        connected(url, modern, token=token) as (modern_client,),
        connected(url, older, token=token) as (older_client,),
        modern_client.listening() as modern_changed,
        older_client.listening() as older_changed,
    ):
        turns: tuple[tuple[Era, McpClient, asyncio.Event], ...] = (
            (modern, modern_client, modern_changed),
            (older, older_client, older_changed),
        )
        for _, client, changed in turns:
            await _approve_and_call(office, client, changed, _Durations())
        durations: dict[Era, _Durations] = {era: _Durations() for era in ERAS}
        for _ in range(samples):
            for era, client, changed in turns:
                await _approve_and_call(office, client, changed, durations[era])
    return {era: found.told() for era, found in durations.items()}


async def _approve_and_call(
    office: Office, client: McpClient, changed: asyncio.Event, durations: _Durations
) -> None:
    tool_id, name = await office.create_tool()
    request = await office.ask(tool_id)
    changed.clear()
    began = time.perf_counter()

    async def decide() -> None:
        await office.approve(request)
        durations.answer_s.append(time.perf_counter() - began)

    async def call() -> None:
        told_s = await _call_when_told(client, changed, name) - began
        durations.list_changed_s.append(told_s)
        durations.callable_s.append(time.perf_counter() - began)

    try:
        async with asyncio.timeout(_PATIENCE_S):
            await asyncio.gather(decide(), call())
    except TimeoutError:
        raise BenchmarkFailed(f"{name} could not be called within {_PATIENCE_S:g} s.") from None


async def _call_when_told(client: McpClient, changed: asyncio.Event, name: str) -> float:
    """When the client was told, after its call has succeeded."""
    while True:
        await changed.wait()
        told_at = time.perf_counter()
        changed.clear()
        try:
            answer = await client.call(name, ARGUMENTS)
        except McpRefused:
            continue  # it was told of something else
        if answer != ANSWER:
            raise BenchmarkFailed(f"{name} answered {answer}.")
        return told_at


@asynccontextmanager
async def _signed_in(api_url: str) -> AsyncGenerator[aiohttp.ClientSession]:
    async with aiohttp.ClientSession(
        f"{api_url}/", timeout=aiohttp.ClientTimeout(total=_PATIENCE_S)
    ) as http:
        credentials = {"username": "admin", "password": PASSWORD}
        async with http.post("auth/login", json=credentials) as answer:
            answer.raise_for_status()
            token = (await answer.json())["access_token"]
        http.headers["authorization"] = f"Bearer {token}"
        yield http
