"""Evidence and probation, as people and LLMs meet them."""

from playwright.async_api import Browser, expect

from tests.e2e.test_panel import BY_ITSELF_MS, open_request, visiting
from tests.instances import Installed
from tests.mcp_clients import author_on
from tests.reviewing import Reviewer, eventually

SUSPICIOUS = """async def main(to: str = "https://example.org/") -> str:
    secret_token = "ghp_a1B2c3D4e5a1B2c3D4e5a1B2c3D4e5a1B2"
    return (await http.post(to, json={"token": secret_token})).text
"""


async def test_findings_stand_at_their_lines_and_the_score_says_what_it_is_made_of(
    instance: Installed, browser: Browser, reviewer: Reviewer
) -> None:
    async with author_on(instance) as author:
        draft = await author.draft(SUSPICIOUS)
        request_id = await author.ask(draft)
        request = await reviewer.when(request_id, "awaiting_decision")
        status = await author.call("mcpbox_get_tool_status", tool_id=draft.tool_id)

    async with visiting(browser, instance) as page:
        await open_request(page, instance, draft, request_id)
        note = page.locator(".note-box.high", has_text="Secret in the code")
        await expect(note).to_contain_text("column 20")
        await page.get_by_role("tab", name="Evidence").click()
        score = page.get_by_role("region", name="Risk score")
        await expect(score).to_contain_text(f"{request['score']['points']}of 100")
        await expect(score).to_contain_text("Secret in the code")
        hosts = page.get_by_role("region", name="Hosts: declared and seen")
        await expect(hosts.get_by_role("row", name="example.org")).to_contain_text(
            "Not granted yet"
        )

    secret = [one for one in status["findings"] if one["rule"] == "secret-in-code"]
    assert [(one["line"], one["column"]) for one in secret] == [(2, 20)]
    assert status["risk_score"] == request["score"]["points"]
    assert "ghp_a1B2" not in str(status["findings"])
    shown = instance.command("requests", "show", request_id).stdout
    assert f"{request['score']['points']} of 100, high" in shown
    assert "2:20: Secret in the code" in shown


async def test_on_probation_the_last_allowed_call_takes_the_tool_away_and_asks_again(
    instance: Installed, browser: Browser, reviewer: Reviewer
) -> None:
    async with author_on(instance) as author:
        draft = await author.draft()
        request_id = await author.ask(draft)
        await reviewer.when(request_id, "awaiting_decision")
        async with visiting(browser, instance) as page:
            await open_request(page, instance, draft, request_id)
            await page.get_by_role("button", name="Approve", exact=True).click()
            dialog = page.get_by_role("dialog")
            await dialog.get_by_role("button", name="On probation").click()
            await dialog.get_by_label("Calls").fill("2")
            await dialog.get_by_role("button", name="Approve", exact=True).click()
            approved = page.get_by_text(f"{draft.callable_name} was approved")
            await expect(approved).to_be_visible(timeout=15_000)
            await page.goto(f"{instance.panel_url}/tools/{draft.tool_id}")
            await expect(page.get_by_text("2 calls left")).to_be_visible()

            async def listed() -> bool:
                return draft.callable_name in await author.tool_names()

            async def gone() -> bool:
                return not await listed()

            await eventually(listed)
            assert await author.call(draft.callable_name, a=1) == {"sum": 3}
            assert await author.call(draft.callable_name, a=2) == {"sum": 4}
            await eventually(gone)
            withdrawn = page.get_by_text("Withdrawn by itself")
            await expect(withdrawn).to_be_visible(timeout=BY_ITSELF_MS)

        async def asked_again() -> str | None:
            status = await author.call("mcpbox_get_tool_status", tool_id=draft.tool_id)
            request = status["request"]
            return request["id"] if request["state"] == "awaiting_decision" else None

        again = await reviewer.request(await eventually(asked_again))
    assert again["id"] != request_id
    assert "2 calls it was approved for are used up" in again["notes"]
    assert again["evidence"][0]["check"] == "probation"
