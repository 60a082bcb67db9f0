"""People are told of what waits, and of what became of what they asked; never more than names."""

import hashlib
import hmac
from collections.abc import AsyncGenerator
from typing import Any
from uuid import uuid4

import pytest
import pytest_asyncio

from tests.e2e.people import session_of
from tests.e2e.receiver import Receiver, receiving
from tests.instances import Installed
from tests.mcp_clients import author_on
from tests.reviewing import Reviewer, eventually

TARGETS = "/notification-targets"
NOTES = "Mind the ledger."


@pytest_asyncio.fixture(loop_scope="session")
async def receiver() -> AsyncGenerator[Receiver]:
    async with receiving() as listening:
        yield listening


async def asked(instance: Installed, reviewer: Reviewer) -> dict[str, Any]:
    async with author_on(instance) as author:
        request_id = await author.ask(await author.draft(), notes=NOTES)
    return await reviewer.when(request_id, "awaiting_decision")


async def add(reviewer: Reviewer, kind: str, address: str, **more: Any) -> dict[str, Any]:
    body = {"name": f"t{uuid4().hex[:8]}", "kind": kind, "address": address, "private": True}
    answer = await reviewer.api.post(TARGETS, json=body | more)
    assert answer.status_code == 201, answer.text
    return answer.json()


async def test_a_reviewer_is_told_of_what_waits_once_and_finds_it_by_the_link(
    instance: Installed, reviewer: Reviewer
) -> None:
    async with (
        await session_of(instance, "reviewer") as ana,
        await session_of(instance, "viewer") as vic,
    ):
        request = await asked(instance, reviewer)
        path = f"/approvals?id={request['id']}"
        mine = (await ana.get("/notices")).json()["items"]
        unread = (await ana.get("/notices/unread")).json()["count"]
        await ana.post("/notices/read")
        after = (await ana.get("/notices/unread")).json()["count"]
        others = (await vic.get("/notices")).json()["items"]

    told = [item for item in mine if item["path"] == path]
    assert [item["event"] for item in told] == ["request.waiting"]
    assert request["title"] in told[0]["sentence"]
    assert unread >= 1
    assert after == 0
    assert path not in {item["path"] for item in others}


async def test_a_webhook_is_signed_repeated_until_it_arrives_and_known_again(
    instance: Installed, reviewer: Reviewer, receiver: Receiver
) -> None:
    target = await add(reviewer, "webhook", receiver.address("/hook"), events=["request.waiting"])
    receiver.failures = 1

    request = await asked(instance, reviewer)

    async def arrived_twice() -> bool:
        return len(receiver.at("/hook")) == 2

    await eventually(arrived_twice)
    first, second = receiver.at("/hook")
    assert first.json == second.json
    assert first.headers["x-mcpbox-delivery"] == second.headers["x-mcpbox-delivery"]
    signed = second.headers["x-mcpbox-timestamp"].encode() + b"." + second.body
    expected = hmac.new(target["signing_secret"].encode(), signed, hashlib.sha256).hexdigest()
    assert second.headers["x-mcpbox-signature"] == f"v1={expected}"
    assert second.json["link"] == f"{instance.panel_url}/approvals?id={request['id']}"
    for secret in (NOTES, "return {", request["digest"]):
        assert secret.encode() not in second.body
    await reviewer.api.delete(f"{TARGETS}/{target['id']}")


@pytest.mark.parametrize(("kind", "field"), [("slack", "text"), ("discord", "content")])
async def test_a_chat_is_told_in_its_own_form(
    reviewer: Reviewer, receiver: Receiver, kind: str, field: str
) -> None:
    target = await add(reviewer, kind, receiver.address(f"/{kind}/T0/secret"))

    answer = await reviewer.api.post(f"{TARGETS}/{target['id']}/test")

    assert answer.status_code == 204, answer.text
    [sent] = receiver.at(f"/{kind}/T0/secret")
    assert "is a test" in sent.json[field]
    assert "secret" not in str((await reviewer.api.get(TARGETS)).json())
    await reviewer.api.delete(f"{TARGETS}/{target['id']}")


async def test_a_private_address_is_refused_without_consent(
    reviewer: Reviewer, receiver: Receiver
) -> None:
    plain = {"name": "x", "kind": "webhook", "address": receiver.address("/hook")}
    refused = await reviewer.api.post(TARGETS, json=plain)
    https = await add(reviewer, "webhook", f"https://127.0.0.1:{receiver.port}/hook", private=False)

    tested = await reviewer.api.post(f"{TARGETS}/{https['id']}/test")

    assert refused.status_code == 422
    assert tested.status_code == 422
    assert "private network" in tested.json()["detail"]
    assert receiver.arrived == []
    await reviewer.api.delete(f"{TARGETS}/{https['id']}")


async def test_only_an_admin_chooses_where_people_are_told(
    instance: Installed, receiver: Receiver
) -> None:
    body = {"name": "x", "kind": "webhook", "address": receiver.address("/x"), "private": True}
    async with await session_of(instance, "reviewer") as ana:
        answers = [await ana.get(TARGETS), await ana.post(TARGETS, json=body)]

    assert [answer.status_code for answer in answers] == [403, 403]


async def test_mail_without_a_server_says_which_setting_is_missing(reviewer: Reviewer) -> None:
    target = await add(reviewer, "email", "ana@example.org")

    answer = await reviewer.api.post(f"{TARGETS}/{target['id']}/test")

    assert answer.status_code == 422
    assert "MCPBOX_SMTP_URL" in answer.json()["detail"]
    await reviewer.api.delete(f"{TARGETS}/{target['id']}")
