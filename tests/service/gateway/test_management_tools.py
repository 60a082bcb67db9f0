"""The management tools over the protocol server in memory, in both eras."""

from typing import Any
from uuid import UUID, uuid4

import pytest
from mcp import Client, MCPError
from mcp_types import CallToolResult

from gateway.answers import code_of, require_plain_json
from gateway.tools import TOOLS
from mcpbox.domain import errors
from mcpbox.domain.base import utc_now
from mcpbox.domain.errors import DomainError, Invalid
from mcpbox.domain.ids import ServerId
from mcpbox.domain.narrowing import Narrowing
from mcpbox.domain.people import Scope
from mcpbox.domain.tools import Approval
from mcpbox.domain.verdicts import Verdict
from tests.service.gateway.factories import ADD
from tests.service.gateway.running import Connect, text_of
from tests.service.gateway.world import World

EXPECTED = {
    "mcpbox_search_tools",
    "mcpbox_list_servers",
    "mcpbox_get_server",
    "mcpbox_create_server",
    "mcpbox_start_server",
    "mcpbox_stop_server",
    "mcpbox_delete_server",
    "mcpbox_list_tools",
    "mcpbox_get_tool",
    "mcpbox_create_tool",
    "mcpbox_update_tool",
    "mcpbox_delete_tool",
    "mcpbox_test_code",
    "mcpbox_validate_code",
    "mcpbox_request_publish",
    "mcpbox_get_tool_logs",
    "mcpbox_get_tool_status",
    "mcpbox_list_pending_requests",
    "mcpbox_wait_for_request",
    "mcpbox_revise_request",
    "mcpbox_comment_on_request",
    "mcpbox_withdraw_request",
    "mcpbox_request_module",
    "mcpbox_get_server_modules",
    "mcpbox_request_network_access",
    "mcpbox_list_tool_versions",
    "mcpbox_rollback_tool",
    "mcpbox_restore_tool",
    "mcpbox_create_server_secret",
    "mcpbox_list_server_secrets",
    "mcpbox_request_secret",
    "mcpbox_add_external_source",
    "mcpbox_list_external_sources",
    "mcpbox_discover_external_tools",
    "mcpbox_import_external_tools",
}


async def made(client: Client, code: str = ADD) -> tuple[str, str]:
    """Ids of a server and of a draft in it."""
    server = await call(client, "mcpbox_create_server", name="calc")
    tool = await call(
        client, "mcpbox_create_tool", server_id=server["id"], name="add", python_code=code
    )
    return server["id"], tool["id"]


async def call(client: Client, tool: str, /, **arguments: Any) -> dict[str, Any]:
    result = await client.call_tool(tool, arguments)
    assert not result.is_error, text_of(result)
    return result.structured_content


def error_of(result: CallToolResult) -> dict[str, Any]:
    assert result.is_error
    assert text_of(result) == result.structured_content["error"]["message"]
    return result.structured_content["error"]


async def test_the_whole_way_from_a_server_to_an_approved_tool(
    connect: Connect, world: World
) -> None:
    async with connect() as client:
        server_id, tool_id = await made(client)
        tried = await call(client, "mcpbox_test_code", tool_id=tool_id, arguments={"a": 1})
        asked = await call(
            client,
            "mcpbox_request_publish",
            tool_id=tool_id,
            notes="Please.",
            sample_arguments={"a": 1},
        )
        waiting = await call(client, "mcpbox_get_tool_status", tool_id=tool_id)
        listed = await call(client, "mcpbox_list_pending_requests")
        [request] = world.requests.values()
        world.approve(request.id)
        approved = await call(client, "mcpbox_get_tool_status", tool_id=tool_id)
        server = await call(client, "mcpbox_get_server", server_id=server_id)

    assert (tried["success"], tried["result"]) == (True, {"sum": 3})
    assert asked["state"] == "awaiting_decision"
    assert waiting["approval_status"] == "pending_review"
    assert waiting["request"]["notes"] == "Please."
    assert [found["id"] for found in listed["requests"]] == [str(request.id)]
    assert approved["approval_status"] == "approved"
    assert "calc__add" in approved["next"]
    assert server["tools"][0]["approval_status"] == "approved"


async def test_every_promised_tool_is_listed_by_name_with_object_schemas(connect: Connect) -> None:
    async with connect() as client:
        listed = (await client.list_tools()).tools

    assert [tool.name for tool in listed] == sorted(EXPECTED)
    for tool in listed:
        assert tool.input_schema["type"] == "object"
        assert tool.output_schema is not None
        assert tool.output_schema["type"] == "object"
        assert tool.title
        assert tool.description is not None
        assert len(tool.description) > 40


def test_i3_no_tool_of_the_gateway_decides_on_a_request() -> None:
    """Invariant I3: what a client token can reach holds no verdict and calls no decide."""
    for name, tool in TOOLS.items():
        assert not {"verdict", "decision", "approve"} & set(tool.takes.model_fields), name
        assert "decide" not in tool.run.__code__.co_names, name


async def test_a_client_without_the_scope_sees_no_management_tool_and_is_told_why(
    connect: Connect,
) -> None:
    async with connect(Scope.CALL) as client:
        listed = (await client.list_tools()).tools
        error = error_of(await client.call_tool("mcpbox_list_servers", {}))

    assert [tool.name for tool in listed] == ["mcpbox_search_tools"]
    assert error["code"] == "refused"
    assert "'author'" in error["message"]


@pytest.mark.parametrize(
    ("name", "arguments", "field", "advice"),
    [
        ("mcpbox_get_tool", {}, "tool_id", "is required: The tool's id"),
        ("mcpbox_get_tool", {"tool_id": "7"}, "tool_id", "must be a UUID"),
        ("mcpbox_create_server", {"name": "My Server"}, "name", "lower-case letter"),
        ("mcpbox_create_server", {"name": "a" * 63}, "name", "62"),
        ("mcpbox_list_tools", {"page_size": 101}, "page_size", "less than or equal to 100"),
        ("mcpbox_list_servers", {"server": 1}, "server", "this tool takes page, page_size"),
        ("mcpbox_validate_code", {"code": "a\x00"}, "code", "NUL"),
    ],
)
async def test_a_wrong_argument_is_answered_with_its_field_and_what_to_do(
    connect: Connect, name: str, arguments: dict[str, Any], field: str, advice: str
) -> None:
    async with connect() as client:
        error = error_of(await client.call_tool(name, arguments))

    [problem] = error["problems"]
    assert error["code"] == "invalid_arguments"
    assert problem["field"] == field
    assert advice in problem["message"]
    assert f"{name} was not run. {field} " in error["message"]


async def test_an_unknown_id_is_answered_with_what_is_missing(connect: Connect) -> None:
    tool_id = str(uuid4())
    async with connect() as client:
        error = error_of(await client.call_tool("mcpbox_get_tool", {"tool_id": tool_id}))

    assert error == {"code": "not_found", "message": f"There is no tool {tool_id!r}."}


async def test_broken_code_is_answered_with_line_and_column(connect: Connect) -> None:
    async with connect() as client:
        server = await call(client, "mcpbox_create_server", name="calc")
        result = await client.call_tool(
            "mcpbox_create_tool",
            {"server_id": server["id"], "name": "add", "python_code": "async def main(:\n"},
        )
        report = await call(client, "mcpbox_validate_code", code="x = 1\n")

    error = error_of(result)
    assert error["code"] == "invalid_code"
    assert error["problems"][0]["line"] == 1
    assert error["problems"][0]["column"] > 1
    assert "line 1, column" in error["message"]
    assert (report["valid"], report["has_main"]) == (False, False)
    assert "async def main" in report["problems"][0]["message"]


async def test_what_reviewers_will_be_shown_of_code_is_told_when_it_is_checked(
    connect: Connect,
) -> None:
    code = "async def main(to: str) -> str:\n    return (await http.get(to)).text\n"

    async with connect() as client:
        report = await call(client, "mcpbox_validate_code", code=code)

    assert report["valid"]
    found = {finding["rule"]: finding for finding in report["findings"]}
    assert found["host-at-run-time"]["line"] == 2
    assert found["host-at-run-time"]["why"]


async def test_code_is_accepted_under_both_of_its_names(connect: Connect) -> None:
    async with connect() as client:
        server = await call(client, "mcpbox_create_server", name="calc")
        tool = await call(
            client, "mcpbox_create_tool", server_id=server["id"], name="add", code=ADD
        )
        report = await call(client, "mcpbox_validate_code", python_code=ADD)

    assert tool["input_schema"]["required"] == ["a"]
    assert report["valid"]


async def test_a_taken_name_and_a_schema_that_is_no_object_are_named(connect: Connect) -> None:
    async with connect() as client:
        server_id, tool_id = await made(client)
        taken = error_of(await client.call_tool("mcpbox_create_server", {"name": "calc"}))
        wrong = error_of(
            await client.call_tool(
                "mcpbox_update_tool", {"tool_id": tool_id, "input_schema": {"type": "string"}}
            )
        )
        nothing = error_of(await client.call_tool("mcpbox_update_tool", {"tool_id": tool_id}))
        server = await call(client, "mcpbox_get_server", server_id=server_id)

    assert taken["code"] == "conflict"
    assert "'calc' exists already" in taken["message"]
    assert '"type": "object"' in wrong["message"]
    assert "Nothing to change" in nothing["message"]
    assert len(server["tools"]) == 1


async def test_changing_released_code_makes_a_draft_and_keeps_the_release(
    connect: Connect, world: World
) -> None:
    async with connect() as client:
        _, tool_id = await made(client)
        await call(client, "mcpbox_request_publish", tool_id=tool_id)
        world.approve(next(iter(world.requests)))
        changed = await call(
            client, "mcpbox_update_tool", tool_id=tool_id, python_code=ADD.replace("+", "-")
        )
        read = await call(client, "mcpbox_get_tool", tool_id=tool_id)

    assert (changed["version"], changed["approval_status"]) == (2, Approval.DRAFT)
    assert read["released_version"] == 1
    assert "a - b" in read["python_code"]
    assert "mcpbox_request_publish" in read["next"]


async def test_a_denial_and_wanted_changes_come_back_with_their_reasons(
    connect: Connect, world: World
) -> None:
    async with connect() as client:
        _, tool_id = await made(client)
        asked = await call(client, "mcpbox_request_publish", tool_id=tool_id)
        [request] = world.requests.values()
        world.decide(request.id, Verdict.REQUEST_CHANGES, "Round the sum.")
        wanted = await call(client, "mcpbox_get_tool_status", tool_id=tool_id)
        world.decide(request.id, Verdict.DENY, "We have this already.")
        denied = await call(client, "mcpbox_get_tool_status", tool_id=tool_id)
        finished = await call(client, "mcpbox_list_pending_requests", include_finished=True)
        pending = await call(client, "mcpbox_list_pending_requests")

    assert asked["request_id"] == str(request.id)
    assert wanted["requested_changes"] == ["Round the sum."]
    assert "mcpbox_update_tool" in wanted["next"]
    assert denied["denial_reason"] == "We have this already."
    assert denied["approval_status"] == "rejected"
    assert finished["requests"][0]["state_reason"] == "We have this already."
    assert pending["requests"] == []


async def test_an_own_request_is_withdrawn_once(connect: Connect) -> None:
    async with connect() as client:
        _, tool_id = await made(client)
        asked = await call(client, "mcpbox_request_publish", tool_id=tool_id)
        given = {"request_id": asked["request_id"], "reason": "Not ready."}
        withdrawn = await call(client, "mcpbox_withdraw_request", **given)
        again = error_of(await client.call_tool("mcpbox_withdraw_request", given))

    assert withdrawn["state"] == "withdrawn"
    assert again["code"] == "conflict"


async def test_servers_stop_start_and_tools_go(connect: Connect, world: World) -> None:
    async with connect() as client:
        server_id, tool_id = await made(client)
        stopped = await call(client, "mcpbox_stop_server", server_id=server_id)
        started = await call(client, "mcpbox_start_server", server_id=server_id)
        tools = await call(client, "mcpbox_list_tools", page_size=1)
        await call(client, "mcpbox_delete_tool", tool_id=tool_id)
        servers = await call(client, "mcpbox_list_servers")

    assert (stopped["status"], started["status"]) == ("stopped", "running")
    assert tools["total"] == 1
    assert tools["tools"][0]["approval_status"] == "draft"
    assert world.tools == {}
    assert servers["servers"][0]["name"] == "calc"


async def test_a_server_goes_with_its_tools_but_not_against_a_persons_word(
    connect: Connect, world: World
) -> None:
    async with connect() as client:
        server_id, _ = await made(client)
        stopped = world.servers[ServerId(UUID(server_id))]
        ana = Narrowing(by="person:ana", at=utc_now(), reason="It leaks.")
        world.servers[stopped.id] = stopped.model_copy(update={"stopped": ana})
        refused = error_of(await client.call_tool("mcpbox_delete_server", {"server_id": server_id}))
        world.servers[stopped.id] = stopped
        deleted = await call(client, "mcpbox_delete_server", server_id=server_id, reason="Old.")
        gone = error_of(await client.call_tool("mcpbox_delete_server", {"server_id": server_id}))

    assert "A client does not delete it" in refused["message"]
    assert deleted["message"] == "The server 'calc' was deleted, with all its tools."
    assert (world.servers, world.tools) == ({}, {})
    assert gone["code"] == "not_found"


async def test_a_lost_part_is_named_and_nothing_else_is_told(
    connect: Connect, world: World
) -> None:
    world.postgres_reachable = False
    async with connect() as client:
        error = error_of(await client.call_tool("mcpbox_list_servers", {}))

    assert error["code"] == "unavailable"
    assert error["message"].startswith("Postgres is not reachable")


async def test_a_bug_is_answered_with_a_reference_and_never_with_its_text(
    connect: Connect, world: World, caplog: pytest.LogCaptureFixture
) -> None:
    """A handshake-era client would otherwise be sent the text of the exception."""
    world.servers[ServerId(uuid4())] = None  # pyright: ignore[reportArgumentType] - the bug
    async with connect() as client:
        error = error_of(await client.call_tool("mcpbox_list_servers", {}))

    assert error["code"] == "internal"
    assert error["reference"] in error["message"]
    assert "NoneType" not in str(error)


@pytest.mark.parametrize("value", [float("nan"), float("inf"), "\ud800", [[float("nan")]]])
def test_arguments_that_json_does_not_know_are_refused(value: Any) -> None:
    """The modern transport parses them; neither the sandbox nor Postgres could take them."""
    with pytest.raises(Invalid, match="The arguments contain"):
        require_plain_json({"a": value})


def test_arguments_nested_too_deeply_are_refused() -> None:
    value: Any = []
    for _ in range(100_000):
        value = [value]

    with pytest.raises(Invalid, match="nested too deeply"):
        require_plain_json({"a": value})


async def test_an_unknown_tool_is_a_protocol_error(connect: Connect) -> None:
    async with connect() as client:
        with pytest.raises(MCPError, match="There is no tool 'calc__nothing'") as caught:
            await client.call_tool("calc__nothing", {})

    assert caught.value.error.code == -32602


def test_every_domain_error_has_a_code() -> None:
    def below(kind: type[DomainError]) -> set[type[DomainError]]:
        return {kind} | {found for sub in kind.__subclasses__() for found in below(sub)}

    ours = {kind for kind in below(DomainError) if kind.__module__ == errors.__name__}
    for kind in ours - {DomainError}:
        assert code_of(kind.__new__(kind))
