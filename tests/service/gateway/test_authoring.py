"""What helps a model to write tools: a guide, a prompt, and facts as resources, in both eras."""

import json
from base64 import b64decode
from typing import Any
from uuid import uuid4
from xml.etree import ElementTree

import pytest
from mcp import Client, MCPError
from mcp_types import EmbeddedResource, TextContent, TextResourceContents

from gateway.tools import TOOLS
from mcpbox.domain.comments import CommentDraft
from mcpbox.domain.extraction import read_source
from mcpbox.domain.people import Principal, PrincipalKind, Scope
from mcpbox.policies.static import read_code
from sandbox.contract import DEFAULT_MODULES
from tests.service.gateway.request_twins import InMemoryRequests
from tests.service.gateway.running import TOKEN, RunningGateway
from tests.service.gateway.test_management_tools import made
from tests.service.gateway.test_waiting import asked
from tests.service.gateway.world import World

NARROW = ("/search/mcp", "/s/calc/mcp")


async def text_at(client: Client, uri: str) -> str:
    [content] = (await client.read_resource(uri)).contents
    assert isinstance(content, TextResourceContents)
    return content.text


async def read(client: Client, uri: str) -> dict[str, Any]:
    return json.loads(await text_at(client, uri))


async def test_the_guide_is_listed_and_its_example_is_a_tool(
    gateway: RunningGateway, era: str
) -> None:
    async with gateway.client(era) as client:
        [listed] = (await client.list_resources()).resources
        guide = await text_at(client, str(listed.uri))
    code = guide.partition("```python\n")[2].partition("```")[0]
    source = read_source(code)

    assert str(listed.uri) == "mcpbox://guide"
    assert listed.size == len(guide.encode())
    assert source.valid, source
    assert read_code(code).findings is not None
    assert [name for name in DEFAULT_MODULES if name not in guide] == []


async def test_every_tool_that_the_guide_names_exists(gateway: RunningGateway, era: str) -> None:
    async with gateway.client(era) as client:
        guide = await text_at(client, "mcpbox://guide")
    named = {word for word in guide.split("`") if word.startswith("mcpbox_")}

    assert named
    assert named <= TOOLS.keys()


async def test_modules_hosts_versions_and_review_can_be_read_by_id(
    gateway: RunningGateway, era: str, world: World
) -> None:
    async with gateway.client(era) as client:
        templates = (await client.list_resource_templates()).resource_templates
        server_id, tool_id = await made(client)
        unasked = await read(client, f"mcpbox://tools/{tool_id}/review")
        modules = await read(client, f"mcpbox://servers/{server_id}/modules")
        hosts = await read(client, f"mcpbox://servers/{server_id}/hosts")
        versions = await read(client, f"mcpbox://tools/{tool_id}/versions")

    assert [template.uri_template for template in templates] == [
        "mcpbox://requests/{request_id}",
        "mcpbox://servers/{server_id}/modules",
        "mcpbox://servers/{server_id}/hosts",
        "mcpbox://tools/{tool_id}/versions",
        "mcpbox://tools/{tool_id}/review",
    ]
    assert unasked == {"request_id": None, "decisions": [], "comments": []}
    assert set(modules["default_modules"]) == DEFAULT_MODULES
    assert (hosts["hosts"], [one["version"] for one in versions["versions"]]) == ([], [1])


async def test_what_reviewers_said_is_at_the_tool(
    gateway: RunningGateway, era: str, world: World
) -> None:
    async with gateway.client(era) as client:
        request = await asked(client, world)
        person = Principal(kind=PrincipalKind.CLIENT, name="laptop", scopes=frozenset(Scope))
        draft = CommentDraft(text="Why not json?", line=1)
        await InMemoryRequests(world).comment(person, request.id, draft)
        told = await read(client, f"mcpbox://tools/{request.tool_id}/review")

    assert told["request_id"] == str(request.id)
    assert [(one["text"], one["line"]) for one in told["comments"]] == [("Why not json?", 1)]


async def test_what_is_not_there_is_told_in_the_same_words(
    gateway: RunningGateway, era: str
) -> None:
    async with gateway.client(era) as client:
        for uri in (
            f"mcpbox://tools/{uuid4()}/review",
            f"mcpbox://servers/{uuid4()}/hosts",
            f"mcpbox://servers/{uuid4()}/secrets",
            "mcpbox://tools/x/versions",
            "mcpbox://guides",
        ):
            with pytest.raises(MCPError, match="There is no resource"):
                await client.read_resource(uri)


async def test_the_prompt_brings_the_guide_and_the_task(gateway: RunningGateway, era: str) -> None:
    async with gateway.client(era) as client:
        [prompt] = (await client.list_prompts()).prompts
        given = {"purpose": "Convert currencies.", "server": "money"}
        guide, task = (await client.get_prompt(prompt.name, given)).messages
        with pytest.raises(MCPError, match="needs the argument 'purpose'"):
            await client.get_prompt(prompt.name, {"purpose": " "})
        with pytest.raises(MCPError, match="There is no prompt 'x'"):
            await client.get_prompt("x", {})

    assert isinstance(guide.content, EmbeddedResource)
    assert str(guide.content.resource.uri) == "mcpbox://guide"
    assert isinstance(task.content, TextContent)
    assert "Convert currencies." in task.content.text
    assert "the server 'money'" in task.content.text


@pytest.mark.parametrize("path", [*NARROW, "/mcp"])
async def test_who_only_calls_and_who_sees_a_part_is_shown_none_of_it(
    gateway: RunningGateway, era: str, world: World, path: str
) -> None:
    world.add_client("caller", Scope.CALL, name="caller")
    token = TOKEN if path in NARROW else "caller"
    async with gateway.client(era, token, path=path) as client:
        assert (await client.list_prompts()).prompts == []
        assert (await client.list_resources()).resources == []
        assert (await client.list_resource_templates()).resource_templates == []
        with pytest.raises(MCPError, match="There is no prompt"):
            await client.get_prompt("write_a_tool", {"purpose": "x"})
        with pytest.raises(MCPError, match=r"scope 'author'|they are at /mcp"):
            await client.read_resource("mcpbox://guide")


async def test_the_server_and_its_management_tools_have_icons_that_are_pictures(
    gateway: RunningGateway, era: str
) -> None:
    # Pinned to the newer era, a client asks nothing before its first request.
    async with gateway.client(era if era == "legacy" else "auto") as client:
        assert client.server_info is not None
        tools = (await client.list_tools()).tools
        shown = [client.server_info.icons, *(tool.icons for tool in tools)]

    for icons in shown:
        assert icons is not None
        kind, _, encoded = icons[0].src.partition(";base64,")
        assert kind == "data:image/svg+xml"
        assert ElementTree.fromstring(b64decode(encoded)).tag.endswith("svg")  # noqa: S314 - ours
