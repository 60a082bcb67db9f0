"""Released code runs with a receipt alone; a trial needs none, and is no way around it."""

import asyncio
import tempfile
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest
from pydantic import SecretStr

from mcpbox.receipts import ReceiptSigner
from sandbox.contract import (
    NOT_APPROVED_STATUS,
    UNKNOWN_BUNDLE_STATUS,
    Bundle,
    GrantedUntil,
)
from tests.integration.sandbox.running import RunningService, client_of, start_process
from tests.receipts import SERVER, a_receipt, released

OTHER = ReceiptSigner(SecretStr("07" * 32))


def code(result: int) -> str:
    return f"async def main():\n    return {result}\n"


async def posted(service: RunningService, bundle: Bundle, **more: Any) -> httpx.Response:
    body = {"bundle_key": bundle.key, "bundle": bundle.model_dump(mode="json"), **more}
    return await service.client.post("/runs", json=body)


async def by_key(service: RunningService, bundle: Bundle, **more: Any) -> httpx.Response:
    return await service.client.post("/runs", json={"bundle_key": bundle.key, **more})


async def test_code_with_its_receipt_runs(service: RunningService) -> None:
    bundle = released(Bundle(code=code(1)))

    assert (await posted(service, bundle)).json()["result"] == 1
    assert (await by_key(service, bundle)).json()["result"] == 1


@pytest.mark.parametrize(
    ("bundle", "reason"),
    [
        (Bundle(code=code(2), server=SERVER), "without a receipt"),
        (
            Bundle(
                code=code(2),
                server=SERVER,
                receipt=OTHER.sign(a_receipt(Bundle(code=code(2)))),
            ),
            "not signed with a key that is known",
        ),
        (released(Bundle(code=code(1))).model_copy(update={"code": code(2)}), "for other code"),
        (released(Bundle(code=code(2)), server="another"), "for another server"),
    ],
)
async def test_i1_code_that_no_receipt_covers_is_not_run_and_not_remembered(
    service: RunningService, bundle: Bundle, reason: str
) -> None:
    refused = await posted(service, bundle)
    again = await by_key(service, bundle)

    assert refused.status_code == NOT_APPROVED_STATUS
    assert refused.json()["title"] == "Not approved"
    assert reason in refused.json()["detail"]
    assert again.status_code == UNKNOWN_BUNDLE_STATUS


async def test_what_was_tried_is_not_released_by_that(service: RunningService) -> None:
    bundle = Bundle(code=code(3), server=SERVER)

    tried = await posted(service, bundle, trial=True)
    known = await by_key(service, bundle)
    sent = await posted(service, bundle)

    assert tried.json()["result"] == 3
    assert known.status_code == UNKNOWN_BUNDLE_STATUS
    assert sent.status_code == NOT_APPROVED_STATUS


async def test_what_was_released_is_not_tried_by_its_key(service: RunningService) -> None:
    bundle = released(Bundle(code=code(4)))

    ran = await posted(service, bundle)
    tried = await by_key(service, bundle, trial=True)

    assert ran.json()["result"] == 4
    assert tried.status_code == UNKNOWN_BUNDLE_STATUS


async def test_a_grant_that_ends_stops_calls_of_what_is_known_already(
    service: RunningService,
) -> None:
    ending = GrantedUntil(
        value="api.example.com", until=datetime.now(UTC) + timedelta(milliseconds=1500)
    )
    bundle = released(Bundle(code=code(5), hosts=("api.example.com",)), hosts=(ending,))

    answer = await posted(service, bundle)
    assert answer.json()["result"] == 5
    while answer.status_code == 200:
        answer = await by_key(service, bundle)

    assert answer.status_code == NOT_APPROVED_STATUS
    assert "the grant of api.example.com ended" in answer.json()["detail"]


async def test_a_secret_beyond_the_receipt_is_refused_at_every_call(
    service: RunningService,
) -> None:
    bundle = released(Bundle(code=code(6)), secret_names=("TOKEN",))
    approved = {"TOKEN": {"value": "s3cret-one"}}
    beyond = {**approved, "OTHER": {"value": "s3cret-two"}}

    ran = await posted(service, bundle, secrets=approved)
    refused = await by_key(service, bundle, secrets=beyond)

    assert ran.json()["result"] == 6
    assert refused.status_code == NOT_APPROVED_STATUS
    assert "OTHER" in refused.text
    assert "s3cret" not in refused.text


async def test_the_guard_still_judges_what_was_approved(service: RunningService) -> None:
    bundle = released(Bundle(code="import os\nasync def main():\n    return 1\n"))

    assert (await posted(service, bundle)).json()["error"]["kind"] == "rejected"


async def test_a_trial_is_marked_in_the_log_and_nothing_else_is() -> None:
    tried = Bundle(code=code(7), server=f"{SERVER}\nINFO forged")
    with tempfile.TemporaryDirectory(prefix="sandbox-") as directory:
        process = await start_process(Path(directory), {})
        assert process.stderr is not None
        log: list[bytes] = []
        async with asyncio.timeout(60), client_of(Path(directory) / "sandbox.sock") as client:
            while not log or b"INFO ready" not in log[-1]:
                log.append(await process.stderr.readline())
                assert log[-1], log
            service = RunningService(process, client)
            assert (await posted(service, released(Bundle(code=code(7))))).status_code == 200
            secrets = {"TOKEN": {"value": "s3cret-value"}}
            assert (await posted(service, tried, trial=True, secrets=secrets)).status_code == 200
            process.terminate()
            _, said = await process.communicate()

    lines = [line for line in said.decode().splitlines() if "trial" in line or "forged" in line]
    assert len(lines) == 1
    assert f"INFO trial run: bundle {tried.key}, server '{SERVER}\\nINFO forged'" in lines[0]
    assert "s3cret" not in said.decode()
