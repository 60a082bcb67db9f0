"""I10 as its readers see it: the log over REST, on the command line, and on another machine."""

import json
import shutil
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx
import pytest
from temporalio.client import Client

from activities.audit import SCHEDULE_ID
from tests.e2e.publishing import released
from tests.e2e.test_kill_switch import person
from tests.instances import PASSWORD, Installed
from tests.mcp_clients import author_on
from tests.reviewing import Reviewer, eventually


@asynccontextmanager
async def signed_in(instance: Installed, role: str) -> AsyncGenerator[httpx.AsyncClient]:
    async with httpx.AsyncClient(base_url=instance.api_url, timeout=30) as api:
        login = {"username": await person(instance, role), "password": PASSWORD}
        token = (await api.post("/auth/login", json=login)).json()["access_token"]
        api.headers["authorization"] = f"Bearer {token}"
        yield api


@pytest.fixture
def elsewhere(instance: Installed, tmp_path: Path) -> Installed:
    """A machine that has the program, and neither the database nor a key."""
    env = {name: value for name, value in instance.env.items() if not name.startswith("MCPBOX_")}
    return Installed({**env, "MCPBOX_DATA_DIR": str(tmp_path / "nothing")}, "", "", "", "", "")


@pytest.mark.parametrize(
    ("role", "status"), [("auditor", 200), ("viewer", 403), ("reviewer", 403), ("operator", 403)]
)
async def test_auditors_read_the_log_and_others_do_not(
    instance: Installed, role: str, status: int
) -> None:
    async with signed_in(instance, role) as api:
        for path in ("/audit", "/audit/verification", "/audit/1"):
            assert (await api.get(path)).status_code == status, path
        api.headers["authorization"] = f"Bearer {instance.client_token}"
        assert (await api.get("/audit")).status_code == 401


async def test_the_whole_way_of_a_tool_is_in_the_log_and_the_log_is_whole(
    instance: Installed, reviewer: Reviewer
) -> None:
    async with author_on(instance) as author:
        draft = await released(author, reviewer)
    tool, server = f"tool:{draft.tool_id}", f"server:{draft.server_id}"

    async def actions(**wanted: Any) -> list[str]:
        page = await reviewer.api.get("/audit", params=wanted)
        assert page.is_success, page.text
        return [event["action"] for event in page.json()["items"]]

    assert await actions(subject=tool) == ["catalog:release:made", "catalog:tool:created"]
    assert await actions(subject=server) == ["catalog:server:created"]
    made = await reviewer.api.get("/audit", params={"subject": tool, "page_size": 1})
    [event] = made.json()["items"]
    assert await actions(subject=tool, until=event["at"]) == ["catalog:tool:created"]
    assert await actions(subject=tool, since=event["at"]) == ["catalog:release:made"]
    assert await actions(subject=tool, actor="person:nobody") == []
    assert await reviewer.get(f"/audit/{event['sequence']}") == event

    found = await reviewer.get("/audit/verification")
    assert (found["report"]["broken"], found["protection"]) == (None, "rights")
    assert instance.command("audit", "verify").returncode == 0


async def test_an_export_is_verified_on_another_machine_against_anchors(
    instance: Installed, elsewhere: Installed, reviewer: Reviewer, tmp_path: Path
) -> None:
    made = json.loads(instance.command("audit", "anchor", "--json").stdout)
    key = instance.command("receipts", "public-key").stdout.strip()
    exported = instance.command("audit", "export").stdout
    anchors = tmp_path / "anchors"
    anchors.mkdir()
    shutil.copy(made["file"], anchors / "kept.json")
    log = tmp_path / "log.jsonl"

    def verify(content: str, *more: str) -> tuple[int, str]:
        log.write_text(content)
        kept = ("--file", str(log), "--anchors", str(anchors), "--key", key)
        done = elsewhere.command("audit", "verify", *kept, *more)
        return done.returncode, done.stdout + done.stderr

    lines = exported.splitlines(keepends=True)
    anchored = made["anchor"]["sequence"]
    whole, said = verify(exported)
    assert (whole, "anchors    1 hold" in said) == (0, True), said
    edited = exported.replace('"actor":"person:admin"', '"actor":"person:eve"', 1)
    assert verify(edited)[0] == 5
    third = json.loads(lines[3])["sequence"]
    assert f"broken at event {third}." in verify("".join(lines[:2] + lines[3:]))[1]
    cut = [line for line in lines if json.loads(line)["sequence"] < anchored]
    assert f"broken at event {anchored}." in verify("".join(cut))[1]
    assert verify("{}\n")[0] == 2
    assert verify(exported, "--key", "not a key")[0] == 2
    assert elsewhere.command("audit", "verify", "--file", str(tmp_path / "none")).returncode == 4
    stranger = "A" * 43 + "="
    done = elsewhere.command(
        "audit", "verify", "--file", str(log), "--anchors", str(anchors), "--key", stranger
    )
    assert done.returncode == 3, done.stderr


async def test_a_part_of_the_log_is_exported_by_time(
    instance: Installed, elsewhere: Installed, reviewer: Reviewer, tmp_path: Path
) -> None:
    page = await reviewer.get("/audit?page_size=3")
    newest, _, oldest = page["items"]
    log = tmp_path / "part.jsonl"

    done = instance.command("audit", "export", "--from", oldest["at"][:19])
    log.write_text(done.stdout)

    sequences = [json.loads(line)["sequence"] for line in done.stdout.splitlines()]
    assert {newest["sequence"], oldest["sequence"]} <= set(sequences)
    verified = elsewhere.command("audit", "verify", "--file", str(log))
    assert verified.returncode == 0, verified.stderr
    assert "begins in the middle" in verified.stdout
    assert instance.command("audit", "export", "--to", "2001-01-01").stdout == ""


async def test_the_days_anchor_is_signed_and_exported(
    instance: Installed, reviewer: Reviewer
) -> None:
    directory = Path(instance.env["MCPBOX_DATA_DIR"]) / "audit-anchors"
    before = set(directory.glob("*.json"))
    temporal = await Client.connect(instance.temporal_address)

    await temporal.get_schedule_handle(SCHEDULE_ID).trigger()

    async def written() -> bool:
        return set(directory.glob("*.json")) > before

    await eventually(written)
    done = instance.command("audit", "verify", "--anchors", str(directory))
    assert done.returncode == 0, done.stderr
    found = await reviewer.get("/audit/verification")
    assert found["last_anchor"]["sequence"] <= found["report"]["last"]
    assert found["unsigned_anchors"] == 0


async def test_a_receipt_of_this_instance_is_verified_by_another_with_its_key(
    instance: Installed, elsewhere: Installed, reviewer: Reviewer, tmp_path: Path
) -> None:
    async with author_on(instance) as author:
        draft = await released(author, reviewer)
    receipt = tmp_path / f"{uuid4().hex}.json"
    receipt.write_text((await reviewer.get(f"/tools/{draft.tool_id}/receipt"))["envelope"])
    key = instance.command("receipts", "public-key").stdout.strip()

    verified = elsewhere.command("receipts", "verify", str(receipt), "--key", key, "--json")
    refused = elsewhere.command("receipts", "verify", str(receipt), "--key", "A" * 43 + "=")

    assert verified.returncode == 0, verified.stderr
    assert json.loads(verified.stdout)["approved_by"] == ["admin"]
    assert refused.returncode == 3


async def test_every_action_is_counted_in_the_metrics(instance: Installed) -> None:
    async with httpx.AsyncClient() as http:
        told = (await http.get(f"{instance.panel_url}/metrics")).text

    assert 'mcpbox_audit_events{action="people:login:succeeded"}' in told
    assert 'mcpbox_audit_events{action="catalog:release:revoked"}' in told


async def test_doctor_says_what_keeps_the_log_from_change(instance: Installed) -> None:
    checks = json.loads(instance.command("doctor", "--json").stdout)["checks"]

    [found] = [check for check in checks if check["name"] == "audit"]
    assert (found["state"], "append" in found["what"]) == ("ok", True)
