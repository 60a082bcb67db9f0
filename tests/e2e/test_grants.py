"""Hosts and secrets from ask to revocation: MCP, REST, the command line and the panel."""

import json
from typing import Any

from playwright.async_api import Browser, expect

from tests.e2e.test_panel import visiting
from tests.instances import Installed
from tests.mcp_clients import Author, author_on
from tests.reviewing import Reviewer, eventually

VALUE = "correct-horse-battery-staple"
CODE = (
    "async def main() -> str:\n"
    "    key = secrets['KEY']\n"
    "    if not key:\n"
    "        return (await http.get('https://api.example.com/')).text\n"
    "    return 'has a key'\n"
)


async def test_a_tool_runs_while_its_host_and_its_secret_are_granted_and_set(
    instance: Installed, reviewer: Reviewer, browser: Browser
) -> None:
    async with author_on(instance) as author:
        draft = await author.draft(CODE, name="keyed")
        await author.call(
            "mcpbox_create_server_secret",
            server_id=draft.server_id,
            name="KEY",
            hosts=["api.example.com"],
        )
        host = await author.call(
            "mcpbox_request_network_access",
            server_id=draft.server_id,
            host="api.example.com",
            methods=["GET"],
            days=7,
            notes="The weather is there.",
        )
        shown = instance.command("requests", "show", host["request_id"]).stdout
        assert (await reviewer.approve(host["request_id"]))["state"] == "applied"
        assert (await reviewer.approve(await author.ask(draft)))["state"] == "applied"
        assert draft.callable_name not in await author.tool_names()

        secret = f"/servers/{draft.server_id}/secrets/KEY"
        set_ = await reviewer.api.put(secret, json={"value": VALUE})
        wrong = await reviewer.api.put(secret, json={"value": [VALUE]})
        await eventually(lambda: listed(author, draft.callable_name))
        ran = await author.call(draft.callable_name)

        grants = (await reviewer.get(f"/servers/{draft.server_id}/grants"))["items"]
        await revoked_in_the_panel(instance, browser, draft.server_id)
        await eventually(lambda: unlisted(author, draft.callable_name))

    assert "grants     GET api.example.com" in shown
    assert "holds      7 days" in shown
    assert set_.status_code == 200, set_.text
    assert wrong.status_code == 422
    assert VALUE not in set_.text + wrong.text + instance.log()
    assert ran == {"result": "has a key"}
    assert [(grant["kind"], grant["value"]) for grant in grants] == [
        ("host", "GET api.example.com"),
        ("secret", "KEY"),
    ]
    left = instance.command("grants", "list", draft.server_id, "--json")
    [one] = json.loads(left.stdout)["items"]
    done = instance.command("grants", "revoke", one["id"], "--reason", "Not needed.")
    assert done.returncode == 0, done.stderr
    again = await reviewer.api.post(f"/grants/{one['id']}/revocation", json={"reason": "Again."})
    assert again.status_code == 409, again.text


async def revoked_in_the_panel(instance: Installed, browser: Browser, server_id: str) -> None:
    """The first of its grants, the host."""
    async with visiting(browser, instance) as page:
        await page.goto(f"{instance.panel_url}/servers/{server_id}")
        await expect(page.get_by_text("In use")).to_be_visible()
        await page.get_by_role("button", name="Revoke").first.click()
        await page.get_by_role("textbox", name="Reason").fill("It leaks.")
        dialog: Any = page.get_by_role("dialog")
        await dialog.get_by_role("button", name="Revoke").click()
        await expect(page.get_by_text("is revoked")).to_be_visible()


async def listed(author: Author, name: str) -> bool:
    return name in await author.tool_names()


async def unlisted(author: Author, name: str) -> bool:
    return name not in await author.tool_names()
