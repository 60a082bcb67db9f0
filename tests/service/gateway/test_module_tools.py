"""Asking for a module over the protocol server, in both eras."""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Any
from uuid import uuid4

import pytest
from mcp import Client

from mcpbox.domain.verdicts import Verdict
from sandbox.contract import DEFAULT_MODULES
from tests.service.gateway.running import Connect, text_of
from tests.service.gateway.world import World

LONG = "x" * 10_000


class Asking:
    """A client, and the id of a server that it made."""

    def __init__(self, client: Client, server_id: str) -> None:
        self.client = client
        self.server_id = server_id

    async def answer(self, tool: str, **arguments: Any) -> dict[str, Any]:
        result = await self.client.call_tool(tool, arguments)
        assert not result.is_error, text_of(result)
        return result.structured_content

    async def error(self, **arguments: Any) -> dict[str, Any]:
        """Of asking for a module."""
        given = {"server_id": self.server_id} | arguments
        result = await self.client.call_tool("mcpbox_request_module", given)
        assert result.is_error
        error: dict[str, Any] = result.structured_content["error"]
        assert text_of(result) == error["message"]
        assert len(error["message"]) < 600
        return error


@asynccontextmanager
async def asking_on(connect: Connect) -> AsyncGenerator[Asking]:
    async with connect() as client:
        made = await client.call_tool("mcpbox_create_server", {"name": "weather"})
        yield Asking(client, made.structured_content["id"])


async def test_a_module_is_asked_for_listed_granted_and_shown(
    connect: Connect, world: World
) -> None:
    async with asking_on(connect) as asking:
        before = await asking.answer("mcpbox_get_server_modules", server_id=asking.server_id)
        asked = await asking.answer(
            "mcpbox_request_module",
            server_id=asking.server_id,
            module="dateutil",
            package="Python_DateUtil",
            version=">=2.8, <3",
            notes="Dates in many formats.",
        )
        listed = await asking.answer("mcpbox_list_pending_requests")
        [request] = world.requests.values()
        world.approve(request.id)
        after = await asking.answer("mcpbox_get_server_modules", server_id=asking.server_id)

    assert before["default_modules"] == sorted(DEFAULT_MODULES)
    assert before["granted_modules"] == []
    assert "mcpbox_request_module" in before["next"]
    assert (asked["module"], asked["package"]) == ("dateutil", "python-dateutil")
    assert "include_finished" in asked["next"]
    [waiting] = listed["requests"]
    assert waiting["id"] == asked["request_id"]
    assert (waiting["kind"], waiting["title"]) == ("module_grant", "dateutil for weather")
    assert waiting["tool_id"] is None
    assert waiting["notes"] == "Dates in many formats."
    assert after["granted_modules"] == [
        {"module": "dateutil", "package": "python-dateutil", "version": "1.0"}
    ]


async def test_what_people_said_of_a_module_comes_back_with_what_to_do(
    connect: Connect, world: World
) -> None:
    async with asking_on(connect) as asking:
        await asking.answer("mcpbox_request_module", server_id=asking.server_id, module="dateutil")
        [request] = world.requests.values()
        world.decide(request.id, Verdict.REQUEST_CHANGES, "Pin it below 3.")
        wanted = await asking.answer("mcpbox_list_pending_requests")
        world.decide(request.id, Verdict.DENY, "datetime will do.")
        denied = await asking.answer("mcpbox_list_pending_requests", include_finished=True)

    assert wanted["requests"][0]["state_reason"] == "Pin it below 3."
    assert "mcpbox_request_module" in wanted["requests"][0]["next"]
    assert denied["requests"][0]["state_reason"] == "datetime will do."
    assert "do without it" in denied["requests"][0]["next"]


async def test_the_package_is_named_like_the_module_unless_it_is_said(connect: Connect) -> None:
    async with asking_on(connect) as asking:
        asked = await asking.answer(
            "mcpbox_request_module", server_id=asking.server_id, module="numpy"
        )

    assert asked["package"] == "numpy"


@pytest.mark.parametrize(
    ("module", "advice"),
    [
        ("dateutil.parser", "the first word after 'import'"),
        (" dateutil", "the first word after 'import'"),
        ("python-dateutil", "the first word after 'import'"),
        ("d\N{CYRILLIC SMALL LETTER A}teutil", "the first word after 'import'"),
        ("\N{FULLWIDTH LATIN SMALL LETTER O}s", "the first word after 'import'"),
        ("../../etc", "the first word after 'import'"),
        ("class", "a word of Python itself"),
        ("json", "no grant is needed"),
        ("os", "a module of Python itself"),
        ("ctypes", "a module of Python itself"),
    ],
)
async def test_a_name_that_is_no_module_to_ask_for_is_answered_with_what_to_do(
    connect: Connect, world: World, module: str, advice: str
) -> None:
    async with asking_on(connect) as asking:
        error = await asking.error(module=module)

    assert advice in error["message"]
    assert world.requests == {}


@pytest.mark.parametrize(
    "package",
    [
        "requests[socks]",
        "requests==2",
        "git+https://example.test/x",
        "https://example.test/x",
        "./local",
        "/etc/passwd",
        "-r requirements.txt",
        "--find-links=elsewhere",
        "a b",
        "a\nb",
        "a;b",
        "p\N{CYRILLIC SMALL LETTER A}ndas",
    ],
)
async def test_a_package_is_a_plain_name_of_the_index(
    connect: Connect, world: World, package: str
) -> None:
    async with asking_on(connect) as asking:
        error = await asking.error(module="dateutil", package=package)

    assert "without extras, version or address" in error["message"]
    assert world.requests == {}


@pytest.mark.parametrize("version", ["2.9", "newest", ">=", "==2.9; x", "<3 # y", "===2.9", "@ x"])
async def test_a_version_that_is_no_specifier_is_answered_with_an_example(
    connect: Connect, world: World, version: str
) -> None:
    async with asking_on(connect) as asking:
        error = await asking.error(module="dateutil", version=version)

    assert "version specifier" in error["message"]
    assert world.requests == {}


@pytest.mark.parametrize(
    ("field", "value", "advice"),
    [
        ("module", "", "at least 1 character"),
        ("module", LONG, "at most 100 characters"),
        ("package", LONG, "at most 100 characters"),
        ("version", LONG, "at most 200 characters"),
        ("notes", LONG, "at most 2000 characters"),
        ("module", "a\x00", "NUL"),
        ("notes", "a\x00", "NUL"),
        ("module", 7, "valid string"),
        ("server_id", "weather", "must be a UUID"),
        ("extras", "socks", "is not a parameter"),
    ],
)
async def test_a_value_that_does_not_fit_is_answered_with_its_field(
    connect: Connect, world: World, field: str, value: Any, advice: str
) -> None:
    async with asking_on(connect) as asking:
        error = await asking.error(**({"module": "dateutil"} | {field: value}))

    [problem] = error["problems"]
    assert problem["field"] == field
    assert advice in problem["message"]
    assert world.requests == {}


async def test_a_server_that_is_not_there_has_no_modules_and_gets_none(connect: Connect) -> None:
    async with asking_on(connect) as asking:
        unknown = str(uuid4())
        asked = await asking.error(server_id=unknown, module="dateutil")
        read = await asking.client.call_tool("mcpbox_get_server_modules", {"server_id": unknown})

    assert asked["code"] == "not_found"
    assert read.is_error
    assert unknown in text_of(read)
