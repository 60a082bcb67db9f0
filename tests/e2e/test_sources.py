"""External sources on the faces of people: who may do what, and what is told of it."""

import json
from uuid import uuid4

import pytest

from tests.e2e.people import session_of
from tests.instances import Installed
from tests.reviewing import Reviewer

WRONG = (
    {"transport": "streamable_http", "url": "http://[::1"},
    {"transport": "streamable_http", "url": "https://a.example.com:99999/mcp"},
    {
        "transport": "streamable_http",
        "url": "https://a.example.com/mcp",
        "authentication": "bearer",
    },
    {"transport": "stdio", "module": "os; rm"},
    {"transport": "sse", "url": "https://a.example.com/mcp"},
)


def a_draft(url: str = "https://mcp.example.com/mcp") -> dict[str, object]:
    return {
        "name": f"source{uuid4().hex[:8]}",
        "endpoint": {"transport": "streamable_http", "url": url},
    }


@pytest.mark.timeout(240)  # each command is a process of its own
async def test_sources_are_added_by_operators_and_opened_to_private_networks_by_admins(
    instance: Installed, reviewer: Reviewer
) -> None:
    draft = a_draft("http://10.1.2.3:9000/mcp")
    async with (
        await session_of(instance, "viewer") as viewer,
        await session_of(instance, "operator") as operator,
    ):
        refused = await viewer.post("/sources", json=draft)
        added = await operator.post("/sources", json=draft)
        taken = await operator.post("/sources", json=draft)
        wrong = [
            (await operator.post("/sources", json={**a_draft(), "endpoint": endpoint})).status_code
            for endpoint in WRONG
        ]
        source = added.json()
        path, consent = f"/sources/{source['id']}", {"allowed": True, "reason": "Ours."}
        not_hers = await operator.post(f"{path}/allow-private", json=consent)
        early = await operator.post(f"{path}/import", json={"names": ["x"]})
        seen = await viewer.get(path)
        of_server = await viewer.get(f"/servers/{source['server_id']}/source")
    opened = await reviewer.api.post(f"{path}/allow-private", json=consent)
    shown = instance.command("sources", "show", source["id"], "--json")
    closed = instance.command("sources", "allow-private", source["id"], "--no")
    both = instance.command("sources", "add", "twice", "--url", "https://a.b/", "--module", "x")

    assert (refused.status_code, added.status_code, taken.status_code) == (403, 201, 409)
    assert wrong == [422] * len(WRONG)
    assert (not_hers.status_code, early.status_code) == (403, 409)
    assert "not https" in seen.json()["blocked"]
    assert of_server.json()["id"] == source["id"]
    assert "is not granted to the server" in opened.json()["blocked"]
    assert json.loads(shown.stdout)["allow_private"] is True
    assert "not https" in closed.stdout
    assert both.returncode == 2
    deleted = instance.command("servers", "delete", source["server_id"])
    assert deleted.returncode == 0
    assert source["server_name"] not in instance.command("sources", "list").stdout
