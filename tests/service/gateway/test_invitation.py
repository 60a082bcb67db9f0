"""Whoever asked for a publication is led to the page where people decide, in both eras."""

from typing import Any, Literal

import pytest
from mcp.client import ClientRequestContext
from mcp_types import ElicitRequestParams, ElicitRequestURLParams, ElicitResult

from gateway import invitation
from tests.service.gateway.running import RunningGateway
from tests.service.gateway.test_management_tools import call, made
from tests.service.gateway.world import World

ANSWERS: tuple[Literal["accept", "decline", "cancel"], ...] = ("accept", "decline", "cancel")


class Person:
    """At a client that can open pages."""

    def __init__(self, answer: Literal["accept", "decline", "cancel"]) -> None:
        self._answer: Literal["accept", "decline", "cancel"] = answer
        self.shown: list[str] = []

    async def elicit(
        self, context: ClientRequestContext, params: ElicitRequestParams
    ) -> ElicitResult:
        assert isinstance(params, ElicitRequestURLParams)
        self.shown.append(params.url)
        return ElicitResult(action=self._answer)


@pytest.mark.parametrize("answer", ANSWERS)
async def test_a_person_is_shown_the_request_once_and_whatever_they_answer_it_is_asked(
    gateway: RunningGateway, era: str, world: World, answer: Literal["accept", "decline", "cancel"]
) -> None:
    person = Person(answer)
    async with gateway.client(era, elicit=person.elicit) as client:
        _, tool_id = await made(client)
        asked = await call(client, "mcpbox_request_publish", tool_id=tool_id)
    [request] = world.requests.values()

    assert person.shown == [f"http://panel.example/approvals?id={request.id}"]
    assert (asked["state"], request.decisions) == ("awaiting_decision", [])


async def test_a_client_that_cannot_open_pages_is_told_where_they_are(
    gateway: RunningGateway, era: str, world: World
) -> None:
    async with gateway.client(era) as client:
        _, tool_id = await made(client)
        asked: dict[str, Any] = await call(client, "mcpbox_request_publish", tool_id=tool_id)
    [request] = world.requests.values()

    assert asked["review_url"] == f"http://panel.example/approvals?id={request.id}"


async def test_who_does_not_answer_an_invitation_holds_the_call_up_for_a_while_alone(
    gateway: RunningGateway, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In the newer era the client asks by itself, and calls again when it likes."""
    monkeypatch.setattr(invitation, "WAIT_S", 0.0)
    person = Person("accept")
    async with gateway.client("legacy", elicit=person.elicit) as client:
        _, tool_id = await made(client)
        asked = await call(client, "mcpbox_request_publish", tool_id=tool_id)

    assert asked["state"] == "awaiting_decision"
