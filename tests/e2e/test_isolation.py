"""How a server's calls are kept apart: an admin's choice on every face, and nobody else's."""

import json
from typing import Any
from uuid import UUID

import asyncpg
import pytest
from playwright.async_api import Browser, expect

from gateway.tools import TOOLS
from mcpbox.store.session import plain_url
from tests.e2e.publishing import released
from tests.e2e.test_panel import visiting
from tests.instances import Installed
from tests.mcp_clients import Author, Draft, author_on
from tests.reviewing import Reviewer, eventually

REMEMBERS = """seen = []

async def main(a: int = 0) -> list:
    seen.append(a)
    return seen
"""


async def isolation_of(author: Author, draft: Draft) -> str:
    server = await author.call("mcpbox_get_server", server_id=draft.server_id)
    return server["isolation"]


async def choose(reviewer: Reviewer, draft: Draft, mode: str) -> Any:
    return await reviewer.api.patch(f"/servers/{draft.server_id}", json={"isolation": mode})


async def seen(author: Author, draft: Draft, a: int) -> list[int]:
    return (await author.call(draft.callable_name, a=a))["result"]


async def test_an_admin_lets_calls_share_a_process_and_ends_it_again(
    instance: Installed, reviewer: Reviewer
) -> None:
    async with author_on(instance) as author:
        draft = await released(author, reviewer, REMEMBERS)
        assert await isolation_of(author, draft) == "call"
        assert [await seen(author, draft, a) for a in (1, 2)] == [[1], [2]]

        widened = await choose(reviewer, draft, "release")
        assert widened.json()["isolation"] == "release"
        assert await isolation_of(author, draft) == "release"

        async def shared() -> bool:
            return len(await seen(author, draft, 3)) > 1

        await eventually(shared)
        narrowed = await choose(reviewer, draft, "call")
        assert narrowed.json()["isolation"] == "call"

        async def apart() -> bool:
            try:
                return await seen(author, draft, 4) == [4]
            except AssertionError as error:
                # The call that was on its way when the choice arrived was stopped (I9).
                assert "shared its process" in str(error)  # noqa: PT017
                return False

        await eventually(apart)
        assert [await seen(author, draft, a) for a in (5, 6, 7)] == [[5], [6], [7]]


async def test_every_change_of_it_is_in_the_audit_log(
    instance: Installed, reviewer: Reviewer
) -> None:
    async with author_on(instance) as author:
        draft = await author.draft()
    for mode in ("release", "release", "call"):
        assert (await choose(reviewer, draft, mode)).status_code == 200

    connection = await asyncpg.connect(plain_url(instance.database_url))
    rows = await connection.fetch(
        "SELECT actor, detail FROM audit_events WHERE subject = $1 AND action = $2 "
        "ORDER BY sequence",
        f"server:{UUID(draft.server_id)}",
        "catalog:server:isolation_changed",
    )
    await connection.close()

    server = draft.callable_name.partition("__")[0]
    assert [(row["actor"], row["detail"]) for row in rows] == [
        ("person:admin", f"{server}: call to release"),
        ("person:admin", f"{server}: release to call"),
    ]


async def test_i3_no_client_changes_it_on_any_path(instance: Installed, reviewer: Reviewer) -> None:
    async with author_on(instance) as author:
        draft = await author.draft()
        told = await author.failure(
            "mcpbox_create_server", name="other", description="", isolation="release"
        )
        async with instance.api() as api:
            api.headers["authorization"] = f"Bearer {instance.client_token}"
            refused = await api.patch(f"/servers/{draft.server_id}", json={"isolation": "release"})

        assert "isolation is not a parameter" in told
        assert refused.status_code == 401
        assert await isolation_of(author, draft) == "call"
    takes = {name for name, tool in TOOLS.items() if "isolation" in str(tool.listing.input_schema)}
    assert takes == set()


@pytest.mark.parametrize("body", [{}, {"isolation": "none"}, {"isolation": None}])
async def test_what_is_no_choice_is_told_and_changes_nothing(
    instance: Installed, reviewer: Reviewer, body: dict[str, Any]
) -> None:
    async with author_on(instance) as author:
        draft = await author.draft()
        refused = await reviewer.api.patch(f"/servers/{draft.server_id}", json=body)

        assert refused.status_code == 422
        assert "isolation" in refused.json()["detail"]
        assert await isolation_of(author, draft) == "call"


async def test_it_is_listed_and_chosen_on_the_command_line(instance: Installed) -> None:
    async with author_on(instance) as author:
        draft = await author.draft()

    def command(*arguments: str) -> tuple[int, str]:
        done = instance.command("servers", *arguments)
        return done.returncode, done.stdout + done.stderr

    set_to_release = ("set-isolation", draft.server_id, "release")
    assert command(*set_to_release, "--as", "nobody")[0] == 4
    assert command("set-isolation", draft.server_id, "none")[0] == 2
    code, said = command(*set_to_release, "--json")
    assert (code, json.loads(said)["isolation"]) == (0, "release")
    [line] = [line for line in command("list")[1].splitlines() if draft.server_id in line]
    assert "isolation release" in line
    listed = json.loads(command("list", "--json")[1])["items"]
    assert {"release"} == {s["isolation"] for s in listed if s["id"] == draft.server_id}


async def test_the_panel_says_what_it_trades_and_an_admin_chooses_there(
    instance: Installed, browser: Browser
) -> None:
    async with author_on(instance) as author:
        draft = await author.draft()
        async with visiting(browser, instance) as page:
            await page.goto(f"{instance.panel_url}/servers/{draft.server_id}")
            one_each = page.get_by_role("button", name="One process per call")
            shared = page.get_by_role("button", name="One process per release")
            await expect(one_each).to_have_attribute("aria-pressed", "true")
            await expect(page.get_by_text("may see what earlier calls")).to_be_visible()

            await shared.click()

            await expect(shared).to_have_attribute("aria-pressed", "true")
            await expect(page.get_by_text("one process per release from now on")).to_be_visible()
        assert await isolation_of(author, draft) == "release"
