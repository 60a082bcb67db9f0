"""Asking for a host over the protocol server, in both eras."""

from typing import Any

import pytest

from tests.service.gateway.running import Connect, text_of
from tests.service.gateway.test_module_tools import asking_on
from tests.service.gateway.world import World

WANTED: dict[str, Any] = {"host": "api.example.com", "notes": "The weather is there."}


async def test_a_host_is_asked_for_and_listed_with_what_to_do(connect: Connect) -> None:
    async with asking_on(connect) as asking:
        asked = await asking.answer(
            "mcpbox_request_network_access",
            server_id=asking.server_id,
            **WANTED | {"methods": ["get"], "path_prefix": "/v1/", "days": 7},
        )
        listed = await asking.answer("mcpbox_list_pending_requests")

    assert asked["host"] == "GET api.example.com/v1"
    assert "include_finished" in asked["next"]
    [waiting] = listed["requests"]
    assert waiting["id"] == asked["request_id"]
    assert (waiting["kind"], waiting["title"]) == ("host_grant", "api.example.com for weather")
    assert waiting["notes"] == "The weather is there."


@pytest.mark.parametrize(
    ("wrong", "advice"),
    [
        ({"host": "*.example.com"}, "wildcard"),
        ({"host": "https://api.example.com/v1"}, "without scheme"),
        ({"host": "169.254.169.254"}, "no tool ever reaches one"),
        ({"host": "0x7f.1"}, "four decimal numbers"),
        ({"host": "[::1]"}, "not the name of a host"),
        ({"methods": ["CONNECT"]}, "not a method"),
        ({"path_prefix": "/v1/../admin"}, "plain"),
        ({"notes": ""}, "notes"),
        ({"days": 0}, "days"),
        ({"days": 10**9}, "days"),
        ({"port": 0}, "port"),
        ({"scheme": "https"}, "scheme"),
    ],
)
async def test_what_no_grant_can_say_is_refused_with_what_to_do(
    connect: Connect, world: World, wrong: dict[str, Any], advice: str
) -> None:
    async with asking_on(connect) as asking:
        given = {"server_id": asking.server_id} | WANTED | wrong
        result = await asking.client.call_tool("mcpbox_request_network_access", given)

    assert result.is_error
    assert advice in text_of(result)
    assert world.requests == {}
