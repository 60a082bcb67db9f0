"""The main job: an LLM writes a tool, a person approves it in the panel, clients call it."""

import asyncio
import re

import pytest
from playwright.async_api import Browser, Page, expect

from tests.instances import Installed
from tests.mcp_clients import ERAS, Draft, Era, author_on
from tests.reviewing import Reviewer, eventually


@pytest.mark.parametrize("era", ERAS)
async def test_a_tool_written_over_mcp_and_approved_in_the_panel_can_be_called(
    instance: Installed, browser: Browser, reviewer: Reviewer, era: Era
) -> None:
    page = await signed_in(browser, instance)
    async with author_on(instance, era) as author:
        draft = await author.draft(description="Adds two numbers.")
        tried = await author.call("mcpbox_test_code", tool_id=draft.tool_id, arguments={"a": 1})
        assert tried["result"] == {"sum": 3}
        assert draft.callable_name not in await author.tool_names()

        await page.goto(f"{instance.panel_url}/approvals")
        await author.ask(draft, notes="Needed for the books.", sample_arguments={"a": 40})
        await approve_in(page, draft)

        async with asyncio.timeout(10):
            listed: set[str] = set()
            while draft.callable_name not in listed:
                # Something else may have changed the list before.
                await author.changed.wait()
                author.changed.clear()
                listed = set(await author.tool_names())
        assert await author.call(draft.callable_name, a=20, b=22) == {"sum": 42}

    async def logged() -> bool:
        found = await reviewer.get(f"/executions?tool_id={draft.tool_id}&origin=call")
        return [run["arguments"] for run in found["items"]] == [{"a": 20, "b": 22}]

    await eventually(logged)
    await page.context.close()


async def signed_in(browser: Browser, instance: Installed) -> Page:
    context = await browser.new_context(viewport={"width": 1440, "height": 900})
    page = await context.new_page()
    await page.goto(instance.panel_url)
    await page.get_by_label("User name").fill("admin")
    await page.get_by_label("Password").fill(instance.admin_password)
    await page.get_by_role("button", name="Sign in").click()
    await expect(page).not_to_have_url(re.compile("/login"))
    return page


async def approve_in(page: Page, draft: Draft) -> None:
    """The page is open already: the request appears by itself, with code and evidence."""
    await page.get_by_text(draft.callable_name).first.click(timeout=5000)
    await expect(page.get_by_text("async def main").first).to_be_visible()
    await expect(page.get_by_text("Ran in the sandbox and answered.").first).to_be_visible()
    await page.get_by_role("button", name="Approve", exact=True).click()
    dialog = page.get_by_role("dialog")
    await dialog.get_by_role("button", name="Approve", exact=True).click()
    await expect(dialog).to_be_hidden()
