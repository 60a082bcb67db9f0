"""The panel in a real browser, before the real system."""

import re
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from playwright.async_api import Browser, Page, expect

from tests.e2e.publishing import released
from tests.instances import Installed
from tests.mcp_clients import Draft, author_on
from tests.reviewing import Reviewer

WIDE = (1440, 900)
NARROW = (390, 844)
REACHES_OUT = """import httpx

async def main() -> int:
    return httpx.get("https://weather.example.org/today").status_code
"""
PAGES = (
    "/",
    "/approvals",
    "/audit",
    "/delegations",
    "/executions",
    "/notifications",
    "/policy",
    "/servers",
    "/sources",
    "/tools",
)
BY_ITSELF_MS = 5_000
"""A bound for a loaded machine; it is a few tenths of a second on a quiet one."""


@asynccontextmanager
async def visiting(
    browser: Browser,
    instance: Installed,
    size: tuple[int, int] = WIDE,
    *,
    username: str = "admin",
    **more: Any,
) -> AsyncGenerator[Page]:
    """A signed-in browser of its own; an error in its console fails the test."""
    width, height = size
    context = await browser.new_context(viewport={"width": width, "height": height}, **more)
    page = await context.new_page()
    errors: list[str] = []
    page.on("console", lambda said: errors.append(said.text) if said.type == "error" else None)
    page.on("pageerror", lambda error: errors.append(str(error)))
    await sign_in(page, instance, instance.admin_password, username)
    await expect(page).not_to_have_url(re.compile("/login"))
    yield page
    await context.close()
    assert errors == []


async def sign_in(page: Page, instance: Installed, password: str, username: str = "admin") -> None:
    await page.goto(instance.panel_url)
    await page.get_by_label("User name").fill(username)
    await page.get_by_label("Password").fill(password)
    await page.get_by_role("button", name="Sign in").click()


async def asked(instance: Installed, reviewer: Reviewer, code: str = "") -> tuple[Draft, str]:
    """A request that waits for a decision: its tool and its id."""
    async with author_on(instance) as author:
        draft = await author.draft(code) if code else await author.draft()
        request_id = await author.ask(draft, notes="Please.")
        await reviewer.when(request_id, "awaiting_decision")
    return draft, request_id


def row(page: Page, draft: Draft) -> Any:
    return page.locator(".queue-row", has_text=draft.callable_name)


async def open_request(page: Page, instance: Installed, draft: Draft, request_id: str) -> None:
    await page.goto(f"{instance.panel_url}/approvals?id={request_id}")
    await expect(page.locator(".detail h2").first).to_have_text(draft.callable_name)
    await expect(page.locator(".diff-file").first).to_be_visible()


async def test_a_wrong_password_is_told_and_opens_nothing(
    instance: Installed, browser: Browser
) -> None:
    context = await browser.new_context()
    page = await context.new_page()

    await sign_in(page, instance, "not the password")

    await expect(page.get_by_role("alert")).to_contain_text("password is wrong")
    await page.goto(f"{instance.panel_url}/tools")
    await expect(page).to_have_url(re.compile("/login"))
    await context.close()


async def test_a_request_appears_and_leaves_by_itself_in_every_browser(
    instance: Installed, browser: Browser, reviewer: Reviewer
) -> None:
    async with visiting(browser, instance) as ana, visiting(browser, instance) as ben:
        await ana.goto(f"{instance.panel_url}/approvals")
        await ben.goto(f"{instance.panel_url}/approvals")
        draft, request_id = await asked(instance, reviewer)
        await expect(row(ana, draft)).to_be_visible(timeout=BY_ITSELF_MS)
        await expect(row(ben, draft)).to_be_visible(timeout=BY_ITSELF_MS)

        await open_request(ana, instance, draft, request_id)
        await ana.get_by_role("button", name="Approve", exact=True).click()
        dialog = ana.get_by_role("dialog")
        await dialog.get_by_role("button", name="Approve", exact=True).click()

        told = ana.get_by_text(f"{draft.callable_name} was approved")
        await expect(told).to_be_visible(timeout=15_000)
        await expect(row(ben, draft)).to_be_hidden(timeout=BY_ITSELF_MS)
    assert (await reviewer.request(request_id))["decisions"][0]["channel"] == "panel"


async def test_a_denial_by_keyboard_needs_a_reason_and_the_author_gets_it(
    instance: Installed, browser: Browser, reviewer: Reviewer
) -> None:
    draft, request_id = await asked(instance, reviewer)
    async with visiting(browser, instance) as page:
        await open_request(page, instance, draft, request_id)
        await page.keyboard.press("r")
        dialog = page.get_by_role("dialog")
        await dialog.get_by_role("button", name="Deny").click()
        await expect(dialog.get_by_text("A denial needs a reason")).to_be_visible()

        await dialog.get_by_label("Reason").fill("It exists already.")
        await dialog.get_by_role("button", name="Deny").click()
        await expect(page.get_by_text(f"{draft.callable_name} was denied")).to_be_visible()

    denied = await reviewer.request(request_id)
    assert (denied["state"], denied["decisions"][0]["reason"]) == ("denied", "It exists already.")


async def test_a_risky_request_needs_the_name_typed(
    instance: Installed, browser: Browser, reviewer: Reviewer
) -> None:
    draft, request_id = await asked(instance, reviewer, REACHES_OUT)
    async with visiting(browser, instance) as page:
        await open_request(page, instance, draft, request_id)
        await page.keyboard.press("a")
        dialog = page.get_by_role("dialog")
        approve = dialog.get_by_role("button", name="Approve", exact=True)
        await expect(dialog.get_by_text("Reach weather.example.org")).to_be_visible()
        await expect(approve).to_be_disabled()

        await dialog.get_by_label("Name of the tool").fill(draft.callable_name)
        await expect(approve).to_be_enabled()
        await page.keyboard.press("Escape")
        await expect(dialog).to_be_hidden()
    assert (await reviewer.request(request_id))["state"] == "awaiting_decision"


async def test_requests_are_chosen_by_click_and_by_key(
    instance: Installed, browser: Browser, reviewer: Reviewer
) -> None:
    older, older_id = await asked(instance, reviewer)
    newer, newer_id = await asked(instance, reviewer)
    async with visiting(browser, instance) as page:
        heading = page.locator(".detail h2").first
        await page.goto(f"{instance.panel_url}/approvals")
        await expect(heading).to_have_text(newer.callable_name)

        await row(page, older).click()
        await expect(heading).to_have_text(older.callable_name)
        await expect(page).to_have_url(re.compile(older_id))

        await page.keyboard.press("k")
        await expect(heading).to_have_text(newer.callable_name)
        await expect(page).to_have_url(re.compile(newer_id))
        await expect(page.locator(".q-notification")).to_have_count(0)


async def test_an_open_page_shows_what_somebody_else_decided(
    instance: Installed, browser: Browser, reviewer: Reviewer
) -> None:
    draft, request_id = await asked(instance, reviewer)
    async with visiting(browser, instance) as page:
        await open_request(page, instance, draft, request_id)
        request = await reviewer.request(request_id)
        await reviewer.decide(request, "request_changes", reason="Name the unit.")

        await expect(page.get_by_text("Changes requested").first).to_be_visible()
        await expect(page.get_by_text("Name the unit.")).to_be_visible()


async def test_a_socket_of_another_visitor_cannot_press_my_buttons(
    instance: Installed, browser: Browser, reviewer: Reviewer
) -> None:
    """A click is recorded as its message, and replayed from a foreign and from the own socket."""
    draft, request_id = await asked(instance, reviewer)
    async with visiting(browser, instance) as ana, visiting(browser, instance) as mallory:
        await open_request(ana, instance, draft, request_id)
        await ana.evaluate(
            "() => { const emit = socket.emit.bind(socket);"
            " socket.emit = (...sent) => { if (sent[0] === 'event') window.sent = sent[1];"
            " return emit(...sent); } }"
        )
        await ana.get_by_role("tab", name="History").click()
        await expect(ana.get_by_text("Nobody has decided yet.")).to_be_visible()
        recorded = await ana.evaluate("window.sent")
        await ana.get_by_role("tab", name="Changes").click()
        await expect(ana.get_by_text("Nobody has decided yet.")).to_be_hidden()

        await mallory.goto(f"{instance.panel_url}/tools")
        await expect(mallory.locator(".page")).to_be_visible()
        await mallory.wait_for_function("window.did_handshake")
        replay = "async (sent) => { socket.emit('event', sent); }"
        await mallory.evaluate(replay, recorded)
        await mallory.reload()  # the server has read all that came before
        await mallory.wait_for_function("window.did_handshake")
        await expect(ana.get_by_text("Nobody has decided yet.")).to_be_hidden()

        await ana.evaluate(replay, recorded)
        await expect(ana.get_by_text("Nobody has decided yet.")).to_be_visible()


async def test_signing_out_sends_every_tab_to_sign_in(
    instance: Installed, browser: Browser
) -> None:
    async with visiting(browser, instance) as page:
        other = await page.context.new_page()
        await other.goto(f"{instance.panel_url}/servers")
        await other.wait_for_function("window.did_handshake")

        await page.get_by_role("button", name="Sign out").first.click()

        await expect(page).to_have_url(re.compile("/login"))
        await expect(other).to_have_url(re.compile("/login"))
        await other.goto(f"{instance.panel_url}/servers")
        await expect(other).to_have_url(re.compile("/login"))


async def test_the_colour_scheme_is_chosen_and_kept(instance: Installed, browser: Browser) -> None:
    async with visiting(browser, instance, color_scheme="light") as page:
        await expect(page.locator("body")).to_have_class(re.compile("body--light"))
        await page.get_by_role("button", name="Colour scheme").click()
        await page.get_by_role("menuitemradio", name="Dark").click()
        await expect(page.locator("body")).to_have_class(re.compile("body--dark"))

        await page.reload()
        await expect(page.locator("body")).to_have_class(re.compile("body--dark"))


@pytest.mark.parametrize("size", [WIDE, NARROW], ids=["wide", "narrow"])
async def test_every_page_fits_its_window_and_logs_no_error(
    instance: Installed, browser: Browser, reviewer: Reviewer, size: tuple[int, int]
) -> None:
    await asked(instance, reviewer)
    async with visiting(browser, instance, size) as page:
        for path in PAGES:
            await page.goto(f"{instance.panel_url}{path}")
            await expect(page.locator(".frame")).to_be_visible()
            await page.wait_for_function("window.did_handshake")
            too_wide = "document.documentElement.scrollWidth > innerWidth"
            assert not await page.evaluate(too_wide), path


async def test_on_a_narrow_screen_the_request_opens_in_place_of_the_list(
    instance: Installed, browser: Browser, reviewer: Reviewer
) -> None:
    draft, _ = await asked(instance, reviewer)
    async with visiting(browser, instance, NARROW) as page:
        await page.goto(f"{instance.panel_url}/approvals")
        await row(page, draft).click()
        await expect(page.locator(".detail h2").first).to_have_text(draft.callable_name)
        await expect(row(page, draft)).to_be_hidden()

        await page.get_by_role("button", name="All requests").click()
        await expect(row(page, draft)).to_be_visible()


async def test_a_released_tool_shows_its_receipt_and_hands_it_out(
    instance: Installed, browser: Browser, reviewer: Reviewer
) -> None:
    async with author_on(instance) as author:
        draft = await released(author, reviewer)

    async with visiting(browser, instance) as page:
        await page.goto(f"{instance.panel_url}/tools/{draft.tool_id}")
        heading = page.locator(".page-title", has_text="Approval receipt")
        await expect(heading.locator(".state")).to_have_text("Valid")
        await expect(page.locator(".fact", has_text="Approved by")).to_contain_text("admin")
        async with page.expect_download() as downloading:
            await page.get_by_role("button", name="Download").click()
        downloaded = (await (await downloading.value).path()).read_text()

    shown = await reviewer.get(f"/tools/{draft.tool_id}/receipt")
    assert downloaded == shown["envelope"]
