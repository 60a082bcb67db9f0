"""What Temporal keeps is encrypted, and shown to operators who sign in, and to nobody else."""

import base64
import json
import os
import subprocess
from typing import Any

import httpx
import pytest
from temporalio.client import Client

from cli.instance import Instance
from cli.temporal import installed_binary
from mcpbox.temporal import connect
from tests.e2e.people import session_of
from tests.instances import Installed
from tests.mcp_clients import author_on
from tests.reviewing import Reviewer

NOTES = "Needed for the quarterly report."
CODEC = "/temporal/codec"


async def kept(instance: Installed, reviewer: Reviewer) -> tuple[dict[str, Any], Client]:
    """A request that waits, and a client of Temporal's that has no key."""
    async with author_on(instance) as author:
        request_id = await author.ask(await author.draft(), notes=NOTES)
    request = await reviewer.when(request_id, "awaiting_decision")
    namespace = instance.settings.temporal_namespace
    return request, await Client.connect(instance.temporal_address, namespace=namespace)


async def encoded_input(instance: Installed, reviewer: Reviewer) -> dict[str, Any]:
    """The body of a request to the codec server: what a workflow was started with."""
    request, client = await kept(instance, reviewer)
    history = await client.get_workflow_handle(request["workflow_id"]).fetch_history()
    [payload] = history.events[0].workflow_execution_started_event_attributes.input.payloads
    metadata = {name: base64.b64encode(value).decode() for name, value in payload.metadata.items()}
    return {"payloads": [{"metadata": metadata, "data": base64.b64encode(payload.data).decode()}]}


async def test_what_temporal_keeps_of_a_request_tells_a_stranger_nothing(
    instance: Installed, reviewer: Reviewer
) -> None:
    request, stranger = await kept(instance, reviewer)
    await reviewer.decide(request, "deny", reason="It reads too much of the ledger.")
    workflow = stranger.get_workflow_handle(request["workflow_id"])

    raw = b"".join(event.SerializeToString() for event in (await workflow.fetch_history()).events)
    ours = await connect(
        instance.temporal_address,
        instance.settings.temporal_namespace,
        Instance(instance.settings).temporal_keys(),
    )
    started = (await ours.get_workflow_handle(request["workflow_id"]).fetch_history()).events[0]
    [draft] = await ours.data_converter.decode(
        started.workflow_execution_started_event_attributes.input.payloads
    )

    assert draft["notes"] == NOTES
    assert [word for word in (NOTES, "ledger", request["digest"]) if word.encode() in raw] == []


async def test_the_codec_server_decodes_for_an_operator_and_for_nobody_else(
    instance: Installed, reviewer: Reviewer
) -> None:
    body = await encoded_input(instance, reviewer)
    async with (
        httpx.AsyncClient(base_url=instance.api_url) as nobody,
        await session_of(instance, "viewer") as viewer,
        await session_of(instance, "operator") as operator,
    ):
        answers = [
            await http.post(f"{CODEC}/decode", json=body)
            for http in (nobody, viewer, operator, reviewer.api)
        ]

    assert [answer.status_code for answer in answers] == [401, 403, 200, 200]
    [payload] = answers[2].json()["payloads"]
    assert json.loads(base64.b64decode(payload["data"]))["notes"] == NOTES


async def test_a_token_of_a_client_decodes_nothing(instance: Installed, reviewer: Reviewer) -> None:
    body = await encoded_input(instance, reviewer)
    headers = {"authorization": f"Bearer {instance.client_token}"}

    async with httpx.AsyncClient(base_url=instance.api_url, headers=headers) as client:
        answer = await client.post(f"{CODEC}/decode", json=body)

    assert answer.status_code == 401


async def test_what_is_encoded_is_decoded_to_the_same(reviewer: Reviewer) -> None:
    plain = {
        "payloads": [
            {
                "metadata": {"encoding": base64.b64encode(b"json/plain").decode()},
                "data": base64.b64encode(b'{"a": 1}').decode(),
            }
        ]
    }

    encoded = await reviewer.api.post(f"{CODEC}/encode", json=plain)
    decoded = await reviewer.api.post(f"{CODEC}/decode", json=encoded.json())

    assert encoded.json() != plain
    assert decoded.json() == plain


async def test_a_page_elsewhere_is_not_answered_even_with_the_panels_cookie(
    instance: Installed, reviewer: Reviewer
) -> None:
    body = await encoded_input(instance, reviewer)
    token = reviewer.api.headers["authorization"].removeprefix("Bearer ")
    cookie = {"cookie": f"mcpbox={token}"}
    origins = {
        instance.temporal_url: 200,
        instance.temporal_url.replace("127.0.0.1", "localhost"): 403,
        "http://127.0.0.1.evil.example": 403,
        "null": 403,
    }

    async with httpx.AsyncClient(base_url=instance.api_url) as browser:
        answers = {
            origin: await browser.post(
                f"{CODEC}/decode", json=body, headers=cookie | {"origin": origin}
            )
            for origin in origins
        }
        without = await browser.post(f"{CODEC}/decode", json=body, headers=cookie)
        asking = {
            origin: await browser.options(
                f"{CODEC}/decode",
                headers={"origin": origin, "access-control-request-method": "POST"},
            )
            for origin in origins
        }

    assert {origin: answer.status_code for origin, answer in answers.items()} == origins
    assert without.status_code == 401
    for found in (answers, asking):
        allowed = {o for o, a in found.items() if "access-control-allow-origin" in a.headers}
        assert allowed == {instance.temporal_url}


@pytest.mark.parametrize("bad", [{"payloads": [{"data": "not base64!"}]}, {"payloads": 1}, []])
async def test_a_body_that_holds_no_payloads_is_refused(reviewer: Reviewer, bad: Any) -> None:
    answer = await reviewer.api.post(f"{CODEC}/decode", json=bad)

    assert answer.status_code == 422


async def test_temporals_command_line_reads_what_it_is_given_the_variables_for(
    instance: Installed, reviewer: Reviewer
) -> None:
    request, _ = await kept(instance, reviewer)
    given = instance.command("temporal", "env", "--json")
    assert given.returncode == 0, given.stderr

    def shown(**variables: str) -> str:
        done = subprocess.run(  # noqa: S603 - Temporal's own command
            [
                *(str(installed_binary()), "workflow", "metadata"),
                *("--workflow-id", request["workflow_id"]),
            ],
            env={"PATH": os.environ["PATH"], "HOME": "/nonexistent", **variables},
            capture_output=True,
            text=True,
            errors="replace",  # it may complain of what it cannot read by showing it
            timeout=60,
            check=False,
        )
        return done.stdout

    assert NOTES in shown(**json.loads(given.stdout))
    assert NOTES not in shown(TEMPORAL_ADDRESS=instance.temporal_address)


async def test_only_an_operator_is_given_the_variables(instance: Installed) -> None:
    refused = instance.command("temporal", "env", "--as", "nobody")

    assert refused.returncode == 4
