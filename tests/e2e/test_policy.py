"""The review policy from every face. Other tests share the instance: only what meets nobody."""

import asyncio
import json
import re
from pathlib import Path
from typing import Any

import httpx
import pytest
from playwright.async_api import Browser, expect

from tests.e2e.test_panel import NARROW, WIDE, visiting
from tests.instances import Installed
from tests.reviewing import Reviewer

MEETS_NOBODY = {"name": "nowhere", "servers": ["no-such-server"], "separation": "author"}
PATH = "/review-policy"


async def changed(api: httpx.AsyncClient, **parts: Any) -> httpx.Response:
    current = (await api.get(PATH)).json()
    return await api.put(
        PATH,
        json={
            "policy": current["policy"] | parts,
            "expected_version": current["version"],
            "reason": "A test that meets nobody.",
        },
    )


async def test_rest_changes_it_once_and_keeps_every_version(reviewer: Reviewer) -> None:
    before = (await reviewer.api.get(PATH)).json()
    made = await changed(reviewer.api, overrides=[MEETS_NOBODY])
    assert made.status_code == 200, made.text
    stale = await reviewer.api.put(
        PATH,
        json={"policy": before["policy"], "expected_version": before["version"], "reason": "Late."},
    )

    assert stale.status_code == 409
    assert f"version {made.json()['version']} is in force" in stale.json()["detail"]
    versions = (await reviewer.api.get(f"{PATH}/versions")).json()
    assert [one["version"] for one in versions["items"]][:2] == [
        before["version"] + 1,
        before["version"],
    ]
    kept = (await reviewer.api.get(f"{PATH}/versions/{before['version']}")).json()
    assert kept["policy"] == before["policy"]
    assert (await changed(reviewer.api, overrides=[])).status_code == 200


@pytest.mark.parametrize(
    ("part", "words"),
    [
        (
            {"auto_deny": [{"name": "odd", "expression": "kidn == ''", "reason": "r"}]},
            "The rule 'odd': line 1, column 1: undeclared reference to 'kidn'",
        ),
        ({"requirements": {"approvals": 19}}, "nobody could ever approve"),
        ({"requirements": {"roles": []}}, "name at least one role"),
        ({"settings": {"tool_approval_mode": "yes"}}, "policy.settings.tool_approval_mode"),
    ],
)
async def test_rest_says_what_is_wrong_with_a_policy(
    reviewer: Reviewer, part: dict[str, Any], words: str
) -> None:
    refused = await changed(reviewer.api, **part)

    assert refused.status_code == 422
    assert words in refused.json()["detail"]


async def test_the_command_line_reads_tries_and_changes_it(
    instance: Installed, reviewer: Reviewer, tmp_path: Path
) -> None:
    def run(*arguments: str) -> tuple[int, str]:
        done = instance.command("policy", *arguments)
        return done.returncode, done.stdout + done.stderr

    shown = json.loads((await asyncio.to_thread(run, "show", "--json"))[1])
    file = tmp_path / "policy.json"
    file.write_text(json.dumps(shown["policy"] | {"overrides": [MEETS_NOBODY]}))

    code, said = await asyncio.to_thread(run, "set", str(file), "--reason", "From a file.")
    assert (code, said) == (
        0,
        f"Version {shown['version'] + 1} is in force now; requests that are open keep theirs.\n",
    )
    code, said = await asyncio.to_thread(
        run, "set", str(file), "--reason", "Again.", "--expect", str(shown["version"])
    )
    assert code == 5, said
    code, said = await asyncio.to_thread(run, "dry-run", "--deny", "kidn")
    assert (code, "line 1, column 1" in said) == (2, True)
    code, said = await asyncio.to_thread(run, "dry-run", "--deny", "true")
    assert (code, "would flip" in said) == (0, True)
    code, said = await asyncio.to_thread(run, "versions")
    assert (code, "From a file." in said) == (0, True)
    assert (await changed(reviewer.api, overrides=[])).status_code == 200


async def test_an_admin_changes_it_in_the_panel_after_trying_it(
    instance: Installed, browser: Browser, reviewer: Reviewer
) -> None:
    before = (await reviewer.api.get(PATH)).json()
    async with visiting(browser, instance) as page:
        await page.goto(f"{instance.panel_url}/policy")
        await expect(page.get_by_text("Nothing changed yet")).to_be_visible()

        days = page.get_by_label("Days to keep the execution log")
        await days.fill("0")
        await expect(page.get_by_text("A number from 1 to 3650")).to_be_visible()
        await days.fill("365")
        calls = page.get_by_label("Calls of a tool")
        await calls.fill("9")
        await expect(page.get_by_text("A number from 10 to 1000000")).to_be_visible()
        await calls.fill("999999")
        await page.get_by_role("button", name="Add a rule").click()
        await page.get_by_role("textbox", name="Name", exact=True).fill("nowhere")
        await page.get_by_role("textbox", name="When, in CEL").fill("server == 'no-such-server'")
        await page.get_by_role("textbox", name="Reason").fill("It meets nobody.")
        await page.get_by_role("button", name="Add", exact=True).click()
        await expect(page.get_by_role("table", name="Rules")).to_contain_text("nowhere")
        await page.get_by_role("button", name="Add an override").click()
        dialog = page.get_by_role("dialog", name="Add an override")
        await dialog.get_by_role("textbox", name="Name", exact=True).fill("nobody")
        await dialog.get_by_role("textbox", name="Servers").fill("no-such-server")
        await dialog.get_by_role("textbox", name="Hours on probation").fill("0")
        await dialog.get_by_role("button", name="Add", exact=True).click()
        await expect(dialog.get_by_text("probation: Input should be greater")).to_be_visible()
        await dialog.get_by_role("textbox", name="Hours on probation").fill("12")
        await dialog.get_by_role("button", name="Add", exact=True).click()
        await expect(page.get_by_role("table", name="Overrides")).to_contain_text("for 12 hours")
        await expect(page.get_by_text(re.compile("Changed: .*rules that approve"))).to_be_visible()

        await page.get_by_role("button", name="Try on past decisions").click()
        await expect(page.get_by_label("Dry run")).to_be_visible()
        await page.get_by_role("button", name="Save as version").click()
        await page.get_by_role("textbox", name="Reason").fill("Tried in the panel.")
        await page.get_by_role("button", name="Save", exact=True).click()

        version = before["version"] + 1
        await expect(page.get_by_text(f"Version {version} in force")).to_be_visible()
        await page.get_by_role("button", name="Show the change").first.click()
        await expect(page.locator(".version-change").first).to_contain_text("no-such-server")
    now = (await reviewer.api.get(PATH)).json()
    assert now["reason"] == "Tried in the panel."
    assert now["policy"]["settings"]["log_retention_days"] == 365
    assert now["policy"]["settings"]["tool_rate_limit_rpm"] == 999999
    [override] = now["policy"]["overrides"]
    assert override["probation"]["hours"] == 12
    assert (await changed(reviewer.api, **before["policy"])).status_code == 200


async def test_whoever_edits_is_told_that_somebody_was_faster(
    instance: Installed, browser: Browser, reviewer: Reviewer
) -> None:
    async with visiting(browser, instance) as page:
        await page.goto(f"{instance.panel_url}/policy")
        await expect(page.get_by_text("Nothing changed yet")).to_be_visible()
        assert (await changed(reviewer.api, overrides=[MEETS_NOBODY])).status_code == 200

        await expect(page.get_by_text("The policy was changed meanwhile")).to_be_visible()
    assert (await changed(reviewer.api, overrides=[])).status_code == 200


@pytest.mark.parametrize("size", [WIDE, NARROW])
async def test_the_page_fits_its_window(
    instance: Installed, browser: Browser, size: tuple[int, int]
) -> None:
    async with visiting(browser, instance, size) as page:
        await page.goto(f"{instance.panel_url}/policy")
        await expect(page.get_by_text("Nothing changed yet")).to_be_visible()
        wider = await page.evaluate(
            "document.documentElement.scrollWidth - document.documentElement.clientWidth"
        )
    assert wider <= 0


async def test_the_metrics_count_what_rules_decided(instance: Installed) -> None:
    async with httpx.AsyncClient() as http:
        said = (await http.get(f"{instance.panel_url}/metrics")).text
    assert 'mcpbox_automatic_decisions{verdict="approve"}' in said
