"""People: their accounts on REST and the command line, and what an inactive one no longer does."""

import asyncio
import json
import re
import subprocess
import sys
from collections.abc import AsyncGenerator
from functools import partial
from uuid import uuid4

import httpx
import pytest
import pytest_asyncio
from playwright.async_api import Browser, expect

from cli.instance import Instance
from mcpbox.temporal import Message, connect
from tests.e2e.people import session_of
from tests.e2e.test_panel import visiting
from tests.instances import PASSWORD, Installed
from tests.mcp_clients import author_on
from tests.reviewing import Reviewer, eventually


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def admin(instance: Installed) -> AsyncGenerator[httpx.AsyncClient]:
    async with instance.api() as api:
        yield api


def a_name() -> str:
    return f"p{uuid4().hex[:8]}"


async def made(admin: httpx.AsyncClient, *roles: str) -> str:
    name = a_name()
    body = {"username": name, "roles": roles or ["reviewer"], "password": PASSWORD}
    answer = await admin.post("/users", json=body)
    assert answer.status_code == 201, answer.text
    assert answer.json()["password"] is None
    return name


async def signed_in(instance: Installed, name: str, password: str = PASSWORD) -> httpx.Response:
    async with httpx.AsyncClient(base_url=instance.api_url, timeout=30) as http:
        body = {"username": name, "password": password}
        return await http.post("/auth/login", json=body)


def as_(instance: Installed, tokens: httpx.Response) -> httpx.AsyncClient:
    token = tokens.raise_for_status().json()["access_token"]
    headers = {"authorization": f"Bearer {token}"}
    return httpx.AsyncClient(base_url=instance.api_url, headers=headers, timeout=30)


async def test_an_account_is_made_with_a_password_that_is_shown_once(
    instance: Installed, admin: httpx.AsyncClient
) -> None:
    name = a_name()
    answer = await admin.post("/users", json={"username": name, "roles": ["viewer"]})

    password = answer.json()["password"]
    listed = (await admin.get("/users")).text
    assert (await signed_in(instance, name, password)).status_code == 200
    assert name in listed
    assert password not in listed
    assert password not in instance.log()
    again = await admin.post("/users", json={"username": name, "roles": ["viewer"]})
    assert again.status_code == 409


async def test_deactivating_ends_sessions_and_clients_at_once_and_keeps_votes(
    instance: Installed, admin: httpx.AsyncClient, reviewer: Reviewer
) -> None:
    name = await made(admin)
    tokens = await signed_in(instance, name)
    client = await admin.post(
        "/clients", json={"name": a_name(), "owner": name, "scopes": ["author"]}
    )
    async with author_on(instance) as author:
        denied_id = await author.ask(await author.draft())
        waiting_id = await author.ask(await author.draft())
    denied = await reviewer.when(denied_id, "awaiting_decision")
    waiting = await reviewer.when(waiting_id, "awaiting_decision")

    async with as_(instance, tokens) as session:
        assert (await Reviewer(session).decide(denied, "deny")).status_code == 201
        off = await admin.post(f"/users/{name}/deactivate")
        assert (off.status_code, off.json()["active"]) == (200, False)
        decided = await Reviewer(session).decide(waiting)
        refreshed = await session.post(
            "/auth/refresh", json={"refresh_token": tokens.json()["refresh_token"]}
        )
    assert (decided.status_code, refreshed.status_code) == (401, 401)
    assert (await signed_in(instance, name)).status_code == 401
    bearer = {"authorization": f"Bearer {client.json()['token']}"}
    async with httpx.AsyncClient() as http:

        async def turned_away() -> bool:
            answer = await http.post(instance.gateway_url, json={}, headers=bearer)
            return answer.status_code == 401

        await eventually(turned_away)
    await signal_approval(instance, waiting, name)

    async def refused() -> bool:
        history = (await reviewer.request(waiting_id))["history"]
        return any("not the name of an active person" in event["detail"] for event in history)

    await eventually(refused)
    assert (await reviewer.request(waiting_id))["state"] == "awaiting_decision"
    votes = (await reviewer.request(denied_id))["decisions"]
    assert [vote["reviewer"] for vote in votes] == [name]
    on = await admin.post(f"/users/{name}/activate")
    assert on.json()["active"]
    async with as_(instance, await signed_in(instance, name)) as session:
        assert (await Reviewer(session).decide(waiting, "deny")).status_code == 201


async def signal_approval(instance: Installed, request: dict[str, str], reviewer: str) -> None:
    client = await connect(
        instance.temporal_address,
        instance.settings.temporal_namespace,
        Instance(instance.settings).temporal_keys(),
    )
    decision = {
        "verdict": "approve",
        "reviewer": reviewer,
        "reason": "Read it.",
        "seen_digest": request["digest"],
    }
    await client.get_workflow_handle(request["workflow_id"]).signal(Message.DECIDE, decision)


async def test_people_make_and_revoke_clients_of_their_own_and_admins_everybodys(
    instance: Installed, admin: httpx.AsyncClient
) -> None:
    ana, vic = await made(admin), await made(admin, "viewer")
    own, other = a_name(), a_name()

    def draft(name: str, **more: str) -> dict[str, object]:
        return {"name": name, "scopes": ["call"], **more}

    async with as_(instance, await signed_in(instance, ana)) as session:
        mine = await session.post("/clients", json=draft(own))
        foreign = await session.post("/clients", json=draft(a_name(), owner="admin"))
        theirs = await admin.post("/clients", json=draft(other, owner=vic))
        listed = [client["name"] for client in (await session.get("/clients")).json()]
        hidden = await session.post(f"/clients/{other}/revoke")
        revoked = await session.post(f"/clients/{own}/revoke")
    async with as_(instance, await signed_in(instance, vic)) as session:
        reading = await session.post("/clients", json=draft(a_name()))

    assert [mine.status_code, theirs.status_code, revoked.status_code] == [201, 201, 200]
    assert [foreign.status_code, reading.status_code, hidden.status_code] == [403, 403, 404]
    assert listed == [own]
    assert revoked.json()["revoked_at"] is not None
    assert mine.json()["token"] not in (await admin.get("/clients")).text
    assert (await admin.post(f"/clients/{other}/revoke")).status_code == 200


async def test_roles_count_at_once_in_sessions_that_are_open(
    instance: Installed, admin: httpx.AsyncClient
) -> None:
    name = await made(admin, "viewer")
    async with as_(instance, await signed_in(instance, name)) as session:
        before = await session.get("/audit")
        changed = await admin.put(f"/users/{name}/roles", json={"roles": ["auditor", "viewer"]})
        after = await session.get("/audit")

    assert (before.status_code, changed.status_code, after.status_code) == (403, 200, 200)
    events = (await admin.get("/audit", params={"action": "people:user:roles_changed"})).json()
    assert events["items"][0]["detail"] == f"{name}: viewer -> viewer, auditor"


async def test_admins_put_others_out_and_not_themselves(admin: httpx.AsyncClient) -> None:
    second = await made(admin, "admin")
    own = await admin.put("/users/admin/roles", json={"roles": ["viewer"]})
    away = await admin.post("/users/admin/deactivate")
    other = await admin.post(f"/users/{second}/deactivate")

    assert (own.status_code, away.status_code, other.status_code) == (403, 403, 200)
    assert (await admin.get("/auth/me")).json()["username"] == "admin"


@pytest.mark.parametrize("role", ["viewer", "reviewer", "operator", "auditor"])
async def test_only_an_admin_manages_people(instance: Installed, role: str) -> None:
    async with await session_of(instance, role) as session:
        answers = [
            await session.get("/users"),
            await session.post("/users", json={"username": a_name(), "roles": ["admin"]}),
            await session.put("/users/admin/roles", json={"roles": ["viewer"]}),
            await session.post("/users/admin/deactivate"),
            await session.post("/users/admin/password", json={}),
        ]

    assert [answer.status_code for answer in answers] == [403] * 5


async def test_a_person_chooses_a_password_of_their_own(
    instance: Installed, admin: httpx.AsyncClient
) -> None:
    name = await made(admin)
    async with as_(instance, await signed_in(instance, name)) as session:
        wrong = await session.post(
            "/auth/password", json={"current": "wrong", "new": "another-word"}
        )
        changed = await session.post(
            "/auth/password", json={"current": PASSWORD, "new": "another-word"}
        )
        after = await session.get("/auth/me")

    assert (wrong.status_code, changed.status_code, after.status_code) == (403, 204, 401)
    assert (await signed_in(instance, name)).status_code == 401
    assert (await signed_in(instance, name, "another-word")).status_code == 200


async def test_the_command_line_makes_changes_and_resets_accounts(instance: Installed) -> None:
    name = a_name()

    async def users(*arguments: str, said: str | None = None) -> subprocess.CompletedProcess[str]:
        return await asyncio.to_thread(
            partial(
                subprocess.run,
                [sys.executable, "-m", "cli.main", "users", *arguments],
                env=instance.env,
                input=said,
                capture_output=True,
                text=True,
                check=False,
            )
        )

    created = await users("create", name, "--roles", "reviewer", "--password-stdin", said=PASSWORD)
    assert created.returncode == 0, created.stderr
    assert PASSWORD not in created.stdout
    assert (await signed_in(instance, name)).status_code == 200
    done = await asyncio.gather(
        users("reset-password", name, "--json"),
        users("roles", name, "viewer,wizard"),
        users("create", name, "--as", "admin"),
        users("deactivate", "nobody"),
        users("list", "--as", name),
    )

    assert [one.returncode for one in done] == [0, 2, 5, 4, 3]
    assert "wizard" in done[1].stderr
    password = json.loads(done[0].stdout)["password"]
    assert (await signed_in(instance, name, password)).status_code == 200


async def test_an_admin_makes_people_and_clients_in_the_panel_and_a_person_their_password(
    instance: Installed, browser: Browser
) -> None:
    name, client = a_name(), a_name()
    async with visiting(browser, instance) as page:
        await page.goto(f"{instance.panel_url}/people")
        await page.get_by_role("button", name="Add a person").click()
        await page.get_by_label("User name").fill(name)
        await page.get_by_role("button", name="Add", exact=True).click()
        sheet = page.get_by_role("dialog", name=f"Password of {name}")
        password = await sheet.locator("p.mono").inner_text()
        await sheet.get_by_role("button", name="Close").click()
        await page.get_by_role("button", name="Add a client").click()
        await page.get_by_label("Name", exact=True).fill(client)
        await page.get_by_role("button", name="Add", exact=True).click()
        sheet = page.get_by_role("dialog", name=f"Token of {client}")
        await expect(sheet.locator("p.mono")).to_contain_text("mcpbox_")
        await sheet.get_by_role("button", name="Close").click()
        row = page.locator("tr", has_text=client)
        await row.get_by_role("button", name="New token").click()
        sheet = page.get_by_role("dialog", name=f"A new token for {client}")
        await sheet.get_by_label("Good for so many days").fill("30")
        await sheet.get_by_role("button", name="Make it").click()
        sheet = page.get_by_role("dialog", name=f"Token of {client}")
        await expect(sheet.locator("p.mono")).to_contain_text("mcpbox_")
        await sheet.get_by_role("button", name="Close").click()
        await expect(row).to_contain_text("ends")
        await row.get_by_role("button", name="Revoke").click()
        sure = page.get_by_role("dialog", name=f"Revoke {client}?")
        await sure.get_by_role("button", name="Revoke").click()
        await expect(row).to_contain_text("Revoked")
        chosen = await chosen_password(browser, instance, name, password)
        row = page.locator("tr", has_text=name)
        await row.get_by_role("button", name="Deactivate").click()
        sure = page.get_by_role("dialog", name=f"Deactivate {name}?")
        await sure.get_by_role("button", name="Deactivate").click()
        await expect(row).to_contain_text("Inactive")

    assert (await signed_in(instance, name, chosen)).status_code == 401


async def chosen_password(browser: Browser, instance: Installed, name: str, password: str) -> str:
    chosen = f"chosen-{uuid4().hex[:8]}"
    context = await browser.new_context()
    page = await context.new_page()
    await page.goto(instance.panel_url)
    await page.get_by_label("User name").fill(name)
    await page.get_by_label("Password").fill(password)
    await page.get_by_role("button", name="Sign in").click()
    await page.get_by_role("button", name="Change password").click()
    await page.get_by_label("Present password").fill(password)
    await page.get_by_label("New password").fill(chosen)
    await page.get_by_role("button", name="Change", exact=True).click()
    await expect(page).to_have_url(re.compile("/login"))
    await context.close()
    assert (await signed_in(instance, name, chosen)).status_code == 200
    return chosen
