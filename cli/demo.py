"""``mcpbox demo``: the story, played against the running system with a real MCP client."""

import asyncio
import logging
import time
from collections.abc import AsyncGenerator, Awaitable, Callable, Generator
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager, suppress
from dataclasses import dataclass, field
from typing import Any, TypeVar, cast
from uuid import uuid4

import httpx2
import mcp.types as mcp_types
from mcp import Client
from mcp.client.streamable_http import streamable_http_client
from mcp.client.subscriptions import Subscription, ToolsListChanged

from cli.instance import Instance
from cli.office import Office, open_office
from cli.output import echo, echo_json
from mcpbox.domain.decisions import Channel, DecisionDraft
from mcpbox.domain.errors import DomainError, NotFound, Unavailable
from mcpbox.domain.ids import DecisionId, RequestId
from mcpbox.domain.people import SYSTEM, Scope
from mcpbox.domain.requests import RequestDetail, State
from mcpbox.domain.verdicts import Verdict
from mcpbox.settings import Settings
from mcpbox.usecases.people import ADMIN

SERVER = "demo"
CODE = '''async def main(name: str, times: int = 1) -> dict:
    """Greets somebody, as often as wanted."""
    print(f"greeting {name}")
    return {"greeting": " ".join([f"Hello, {name}!"] * times)}
'''
ARGUMENTS = {"name": "Ada", "times": 2}
PATIENCE_S = 30.0
PERSON_PATIENCE_S = 3600.0
_LOOK_AGAIN_S = 0.1
T = TypeVar("T")


class StoryFailed(DomainError):
    """A step did not do what it should; the message says which and how."""


@dataclass
class Narrator:
    """Tells each step with its duration, at once for people, in the end for programs."""

    as_json: bool
    steps: list[dict[str, Any]] = field(default_factory=list)

    async def tell(self, step: str, doing: Callable[[], Awaitable[T]]) -> T:
        began = time.perf_counter()
        done = await doing()
        took_ms = (time.perf_counter() - began) * 1000
        self.steps.append({"step": step, "ms": round(took_ms, 1)})
        if not self.as_json:
            echo(f"{took_ms:9.1f} ms  {step}")
        return done


async def play(settings: Settings, *, as_json: bool, wait_for_person: bool) -> None:
    """Leaves nothing behind that could be called.

    Raises: StoryFailed; Unavailable: something does not run.
    """
    urls = Instance(settings).urls()
    gateway_url, panel_url = urls["gateway"] or "", urls["panel"] or ""
    narrator = Narrator(as_json)
    # The SDK logs a trace when a stream ends while an event is on its way.
    logging.getLogger("mcp").setLevel(logging.CRITICAL)
    async with open_office(settings) as office, _client_token(office) as token:
        with _out_of_groups():
            async with _author(gateway_url, token, narrator) as author:
                story = Story(author, Person(office), narrator, panel_url=panel_url)
                await story.play(wait_for_person=wait_for_person)
    if as_json:
        echo_json({"steps": narrator.steps})


class Person:
    """Waits and decides, as the account ``admin``."""

    def __init__(self, office: Office) -> None:
        self._office = office

    async def when(
        self, request_id: RequestId, states: frozenset[State], patience_s: float
    ) -> RequestDetail:
        try:
            async with asyncio.timeout(patience_s):
                while True:
                    # Not there yet while the worker has not taken it up.
                    with suppress(NotFound):
                        request = await self._office.requests.get(request_id)
                        if request.state in states:
                            return request
                    await asyncio.sleep(_LOOK_AGAIN_S)
        except TimeoutError:
            raise StoryFailed(f"The request was not {' or '.join(states)} in time.") from None

    async def approve(self, request: RequestDetail) -> None:
        draft = DecisionDraft(
            id=DecisionId(uuid4()),
            verdict=Verdict.APPROVE,
            reason="It only greets. (mcpbox demo)",
            seen_digest=request.digest,
        )
        admin = await self._office.person(ADMIN)
        await self._office.requests.decide(admin, Channel.CLI, request.id, draft)


class Story:
    def __init__(
        self, author: "Author", person: Person, narrator: Narrator, *, panel_url: str
    ) -> None:
        self._author = author
        self._person = person
        self._tell = narrator.tell
        self._panel_url = panel_url
        self._quiet = narrator.as_json

    async def play(self, *, wait_for_person: bool) -> None:
        author, name = self._author, f"greet_{uuid4().hex[:6]}"
        server_id = await self._tell("the LLM has a server for its tools", author.server)
        tool = await self._tell(
            f"it writes the tool {name}",
            lambda: author.call(
                "mcpbox_create_tool",
                server_id=server_id,
                name=name,
                description="Greets somebody.",
                python_code=CODE,
            ),
        )
        try:
            await self._publish_and_call(tool["id"], f"{SERVER}__{name}", wait_for_person)
        finally:
            await self._tell(
                "it deletes the tool again",
                lambda: author.call("mcpbox_delete_tool", tool_id=tool["id"]),
            )

    async def _publish_and_call(
        self, tool_id: str, callable_name: str, wait_for_person: bool
    ) -> None:
        author, person = self._author, self._person
        await self._tell(
            "it tries the code in the sandbox",
            lambda: author.call("mcpbox_test_code", tool_id=tool_id, arguments=ARGUMENTS),
        )
        asked = await self._tell(
            "it asks to publish",
            lambda: author.call(
                "mcpbox_request_publish",
                tool_id=tool_id,
                notes="Played by mcpbox demo.",
                sample_arguments=ARGUMENTS,
            ),
        )
        request_id = RequestId(asked["request_id"])
        request = await self._tell(
            "the evidence is there and the request waits for a person",
            lambda: person.when(request_id, frozenset({State.AWAITING_DECISION}), PATIENCE_S),
        )
        if wait_for_person:
            if not self._quiet:
                echo(f"              decide now: {self._panel_url}approvals?id={request_id}")
            await self._tell(
                "a person approves in the panel",
                lambda: person.when(request_id, frozenset({State.APPLIED}), PERSON_PATIENCE_S),
            )
        else:
            await self._tell(
                "a person approves, and it is released", lambda: person.approve(request)
            )
        await self._tell("the connected client hears that the tools changed", author.hears)
        await self._tell(f"it sees {callable_name}", lambda: author.must_see(callable_name))
        answer = await self._tell(
            "it calls the tool and gets the result",
            lambda: author.call(callable_name, **ARGUMENTS),
        )
        if answer != {"greeting": "Hello, Ada! Hello, Ada!"}:
            raise StoryFailed(f"The tool answered {answer!r}.")


class Author:
    """The LLM: a real MCP client with its own token."""

    def __init__(self, client: Client, events: Subscription) -> None:
        self._client = client
        self._events = events

    async def server(self) -> str:
        listed = await self.call("mcpbox_list_servers", page_size=100)
        for server in listed["servers"]:
            if server["name"] == SERVER:
                await self.call("mcpbox_start_server", server_id=server["id"])
                return server["id"]
        made = await self.call(
            "mcpbox_create_server", name=SERVER, description="Made by mcpbox demo."
        )
        return made["id"]

    async def hears(self) -> None:
        try:
            async with asyncio.timeout(PATIENCE_S):
                async for event in self._events:
                    if isinstance(event, ToolsListChanged):
                        return
        except TimeoutError:
            raise StoryFailed("The client was not told that the tools changed.") from None

    async def must_see(self, name: str) -> None:
        if name not in [tool.name for tool in (await self._client.list_tools()).tools]:
            raise StoryFailed(f"{name} is not in the list of tools.")

    async def call(self, tool: str, **arguments: Any) -> dict[str, Any]:
        result = await self._client.call_tool(tool, arguments)
        if result.is_error:
            texts = [c.text for c in result.content if isinstance(c, mcp_types.TextContent)]
            raise StoryFailed(f"{tool}: {' '.join(texts)}")
        return cast("dict[str, Any]", result.structured_content)


@contextmanager
def _out_of_groups() -> Generator[None]:
    """The SDK's task groups wrap whatever is raised beside them; what we mean is inside."""
    try:
        yield
    except BaseExceptionGroup as group:
        found: BaseException | None = group.subgroup(DomainError)
        while isinstance(found, BaseExceptionGroup):
            found = cast("BaseException", found.exceptions[0])
        raise (found or group) from None


@asynccontextmanager
async def _author(url: str, token: str, narrator: Narrator) -> AsyncGenerator[Author]:
    """Raises: Unavailable: the gateway does not answer."""
    async with AsyncExitStack() as stack:
        headers = {"authorization": f"Bearer {token}"}
        http = await stack.enter_async_context(httpx2.AsyncClient(headers=headers, timeout=60))

        async def connect() -> Author:
            await _require_gateway(http, url)
            client = await stack.enter_async_context(
                Client(streamable_http_client(url, http_client=http), mode="auto")
            )
            events = await stack.enter_async_context(client.listen(tools_list_changed=True))
            return Author(client, events)

        yield await narrator.tell("an LLM's MCP client connects to the gateway", connect)


async def _require_gateway(http: httpx2.AsyncClient, url: str) -> None:
    try:
        await http.get(url.removesuffix("/mcp") + "/health")
    except httpx2.HTTPError as error:
        raise Unavailable("The gateway", "Start it with `mcpbox up`.") from error


@asynccontextmanager
async def _client_token(office: Office) -> AsyncGenerator[str]:
    """Of a client of the demo's own, revoked when it is over."""
    name = f"demo-{uuid4().hex[:8]}"
    scopes = [Scope.AUTHOR, Scope.CALL]
    _, token = await office.clients.create(SYSTEM, name=name, owner=ADMIN, scopes=scopes)
    try:
        yield token
    finally:
        await office.clients.revoke(SYSTEM, name)
