"""A module that no tool has: an LLM asks, people see its packages, and tools import it."""

import asyncio
import json
import shutil
from dataclasses import dataclass
from typing import Any
from uuid import uuid4

import pytest
from playwright.async_api import Browser, Page, expect

from tests.e2e.crashing import count, held_up, is_decided, killed_and_back
from tests.e2e.test_panel import visiting
from tests.instances import Installed
from tests.mcp_clients import ERAS, Author, Draft, Era, author_on
from tests.package_index import LocalIndex
from tests.reviewing import Reviewer, eventually


@dataclass(frozen=True)
class Offered:
    """A module of the test's own in the index, and the package that it needs."""

    module: str
    needed: str
    sha256: str

    @property
    def code(self) -> str:
        return (
            f"import {self.module}\n\n\nasync def main(text: str = 'hi') -> str:\n"
            f"    return {self.module}.shout(text)\n"
        )


def offer(index: LocalIndex) -> Offered:
    name = f"m{uuid4().hex[:8]}"
    needed = f"{name}-mark"
    files = {
        f"{name}.py": f"import {name}_mark as m\ndef shout(text): return text.upper() + m.MARK"
    }
    wheel = index.add(name, files=files, requires=[needed])
    index.add(needed, files={f"{name}_mark.py": "MARK = '!'\n"})
    return Offered(name, needed, wheel.sha256)


async def ask(author: Author, server_id: str, offered: Offered, **more: Any) -> str:
    """Id of the request."""
    asked = await author.call(
        "mcpbox_request_module", server_id=server_id, module=offered.module, **more
    )
    return asked["request_id"]


async def granted(author: Author, reviewer: Reviewer, server_id: str, offered: Offered) -> None:
    outcome = await reviewer.approve(await ask(author, server_id, offered))
    assert outcome["state"] == "applied", outcome


async def drafted(author: Author, server_id: str, offered: Offered) -> dict[str, Any]:
    return await author.call(
        "mcpbox_create_tool", server_id=server_id, name="shout", python_code=offered.code
    )


async def publish(author: Author, reviewer: Reviewer, draft: Draft) -> None:
    outcome = await reviewer.approve(await author.ask(draft))
    assert outcome["state"] == "applied", outcome

    async def listed() -> bool:
        return draft.callable_name in await author.tool_names()

    await eventually(listed)


async def released(author: Author, reviewer: Reviewer, offered: Offered) -> Draft:
    """A tool that imports it, for which people approved both."""
    server_id, server_name = await author.create_server()
    await granted(author, reviewer, server_id, offered)
    tool = await drafted(author, server_id, offered)
    draft = Draft(tool["id"], server_id, f"{server_name}__shout")
    await publish(author, reviewer, draft)
    return draft


@pytest.mark.timeout(120)
@pytest.mark.parametrize("era", ERAS)
async def test_a_module_asked_for_over_mcp_and_approved_in_the_panel_is_imported_by_a_tool(
    instance: Installed,
    package_index: LocalIndex,
    browser: Browser,
    reviewer: Reviewer,
    era: Era,
) -> None:
    offered = offer(package_index)
    package_index.known[(offered.needed, "1.0")] = ["GHSA-e2e"]
    package_index.vulnerabilities["GHSA-e2e"] = {"id": "GHSA-e2e", "summary": "Deafens."}
    async with author_on(instance, era) as author, visiting(browser, instance) as page:
        server_id, server_name = await author.create_server()
        before = await author.call("mcpbox_get_server_modules", server_id=server_id)
        refused = await author.call("mcpbox_validate_code", code=offered.code, server_id=server_id)

        await page.goto(f"{instance.panel_url}/approvals")
        request_id = await ask(author, server_id, offered, notes="For the warnings.")
        waiting = await author.call("mcpbox_list_pending_requests")
        await approve_in(page, offered, server_name)

        after = await author.call("mcpbox_get_server_modules", server_id=server_id)
        accepted = await author.call("mcpbox_validate_code", code=offered.code, server_id=server_id)
        tool = await drafted(author, server_id, offered)
        tried = await author.call("mcpbox_test_code", tool_id=tool["id"])
        draft = Draft(tool["id"], server_id, f"{server_name}__shout")
        await publish(author, reviewer, draft)
        assert await author.call(draft.callable_name, text="ho") == {"result": "HO!"}

        await page.goto(f"{instance.panel_url}/servers/{server_id}")
        shown = page.get_by_role("table", name="Granted modules")
        await expect(shown).to_contain_text(f"{offered.module} 1.0")
        await expect(shown).to_contain_text("admin")

    assert before["granted_modules"] == []
    assert "json" in before["default_modules"]
    assert not refused["valid"]
    assert offered.module in refused["problems"][0]["message"]
    assert "mcpbox_request_module" in refused["problems"][0]["message"]
    mine = next(one for one in waiting["requests"] if one["id"] == request_id)
    assert (mine["kind"], mine["title"]) == ("module_grant", f"{offered.module} for {server_name}")
    assert after["granted_modules"] == [
        {"module": offered.module, "package": offered.module, "version": "1.0"}
    ]
    assert accepted["valid"]
    assert (tried["success"], tried["result"]) == (True, "HI!")
    decided = await reviewer.request(request_id)
    assert decided["decisions"][0]["channel"] == "panel"


async def approve_in(page: Page, offered: Offered, server_name: str) -> None:
    """The page is open already: the request appears by itself, with packages and evidence."""
    title = f"{offered.module} for {server_name}"
    await page.get_by_text(title).first.click(timeout=15_000)
    await expect(page.locator(".detail h2").first).to_have_text(title)
    lock = page.locator(".diff-file")
    await expect(lock).to_contain_text(f"{offered.needed}==1.0", timeout=15_000)
    await expect(lock).to_contain_text(f"sha256:{offered.sha256}")
    await expect(page.locator(".fact", has_text="Known vulnerabilities")).to_contain_text("1 found")
    await page.get_by_role("tab", name="Evidence").click()
    finding = page.locator(".finding", has_text=f"GHSA-e2e in {offered.needed} 1.0")
    await expect(finding).to_contain_text("Deafens.")

    await page.get_by_role("button", name="Approve", exact=True).click()
    dialog = page.get_by_role("dialog")
    await expect(dialog).to_contain_text(f"Every tool of {server_name} to import {offered.module}")
    await expect(dialog).to_contain_text(f"{offered.module} 1.0")
    await dialog.get_by_label("Name of the module").fill(offered.module)
    await dialog.get_by_role("button", name="Approve", exact=True).click()
    told = page.get_by_text(f"{title} was approved and takes effect now")
    await expect(told).to_be_visible(timeout=30_000)


async def test_a_granted_module_is_granted_to_that_server_alone(
    instance: Installed, package_index: LocalIndex, reviewer: Reviewer
) -> None:
    offered = offer(package_index)
    async with author_on(instance) as author:
        await granted(author, reviewer, (await author.create_server())[0], offered)
        other, _ = await author.create_server()
        report = await author.call("mcpbox_validate_code", code=offered.code, server_id=other)
        tool = await drafted(author, other, offered)
        tried = await author.call("mcpbox_test_code", tool_id=tool["id"])
        request_id = await author.ask(Draft(tool["id"], other, ""))
        vetoed = await reviewer.when(request_id, "vetoed")

    assert not report["valid"]
    assert not tried["success"]
    assert offered.module in tried["error"]
    assert offered.module in vetoed["state_reason"]


async def test_a_module_is_read_and_approved_on_the_command_line(
    instance: Installed, package_index: LocalIndex, reviewer: Reviewer
) -> None:
    offered = offer(package_index)
    async with author_on(instance) as author:
        server_id, server_name = await author.create_server()
        request_id = await ask(author, server_id, offered, version="<2", notes="Please.")
        waiting = await reviewer.when(request_id, "awaiting_decision")

        listed = instance.command("requests", "list").stdout
        shown = instance.command("requests", "show", request_id).stdout
        as_json = json.loads(instance.command("requests", "show", request_id, "--json").stdout)
        digest = waiting["digest"][:20]
        approved = instance.command("requests", "approve", request_id, "--digest", digest)
        held = await author.call("mcpbox_get_server_modules", server_id=server_id)

    row = next(line for line in listed.splitlines() if line.startswith(request_id))
    assert f"{offered.module} for {server_name}" in row
    assert f"({offered.module}<2)" in row
    assert waiting["digest"] in shown
    assert f"installs   {offered.module} 1.0: " in shown
    assert f"installs   {offered.needed} 1.0: " in shown
    assert f"sha256:{offered.sha256}" in shown
    assert as_json["lock"]["wheels"] == waiting["lock"]["wheels"]
    assert approved.returncode == 0, approved.stderr
    assert [one["module"] for one in held["granted_modules"]] == [offered.module]


async def test_why_a_module_was_denied_reaches_the_author(
    instance: Installed, package_index: LocalIndex, reviewer: Reviewer
) -> None:
    offered = offer(package_index)
    async with author_on(instance) as author:
        server_id, _ = await author.create_server()
        request_id = await ask(author, server_id, offered)
        waiting = await reviewer.when(request_id, "awaiting_decision")
        await reviewer.decide(waiting, "deny", reason="str.upper() will do.")

        ended = await author.call("mcpbox_list_pending_requests", include_finished=True)
        again = await author.failure(
            "mcpbox_request_module", server_id=server_id, module=offered.module
        )

    mine = next(one for one in ended["requests"] if one["id"] == request_id)
    assert (mine["state"], mine["state_reason"]) == ("denied", "str.upper() will do.")
    assert "str.upper() will do." in again


async def test_a_package_that_the_index_does_not_have_is_vetoed_with_the_reason(
    instance: Installed, reviewer: Reviewer
) -> None:
    missing = Offered(f"m{uuid4().hex[:8]}", "", "")
    async with author_on(instance) as author:
        server_id, _ = await author.create_server()
        request_id = await ask(author, server_id, missing)
        await reviewer.when(request_id, "vetoed")
        ended = await author.call("mcpbox_list_pending_requests", include_finished=True)

    mine = next(one for one in ended["requests"] if one["id"] == request_id)
    assert missing.module in mine["state_reason"]


@pytest.mark.timeout(120)
async def test_a_sandbox_that_lost_its_modules_is_given_them_again_by_the_next_call(
    crashing: Installed, package_index: LocalIndex
) -> None:
    offered = offer(package_index)
    async with author_on(crashing) as author:
        async with crashing.api() as api:
            draft = await released(author, Reviewer(api), offered)
        assert await author.call(draft.callable_name) == {"result": "HI!"}
        await killed_and_back(crashing, "sandbox")
        assert await author.call(draft.callable_name) == {"result": "HI!"}

        forget_modules(crashing)
        await killed_and_back(crashing, "sandbox")
        package_index.files.pop(offered.module)  # what it is given comes from us, not from there

        assert await author.call(draft.callable_name) == {"result": "HI!"}


def forget_modules(instance: Installed) -> None:
    """As a sandbox on another machine would start: without any set or wheel."""
    kept = instance.settings.data_dir / "sandbox"
    sets = [path for path in (kept / "module-sets").iterdir() if path.is_dir()]
    assert sets
    for path in [*kept.rglob("*"), kept]:
        if path.is_dir():
            path.chmod(0o700)
    for path in (kept / "module-sets", kept / "wheels"):
        shutil.rmtree(path)


@pytest.mark.timeout(120)
async def test_i7_a_worker_killed_between_decision_and_effect_grants_the_module_exactly_once(
    crashing: Installed, package_index: LocalIndex
) -> None:
    offered = offer(package_index)
    async with author_on(crashing) as author, crashing.api() as api:
        reviewer = Reviewer(api)
        server_id, _ = await author.create_server()
        request_id = await ask(author, server_id, offered)
        request = await reviewer.when(request_id, "awaiting_decision")
        async with held_up(crashing, "grants"):
            deciding = asyncio.create_task(reviewer.decide(request))
            await eventually(lambda: is_decided(crashing, request_id))
            await killed_and_back(crashing, "worker")
        await asyncio.gather(deciding, return_exceptions=True)

        await reviewer.when(request_id, "applied")
        held = await author.call("mcpbox_get_server_modules", server_id=server_id)
        tool = await drafted(author, server_id, offered)
        tried = await author.call("mcpbox_test_code", tool_id=tool["id"])

    assert await count(crashing, "decisions", request_id) == 1
    assert await count(crashing, "grants", request_id) == 1
    assert [one["module"] for one in held["granted_modules"]] == [offered.module]
    assert tried["result"] == "HI!"
