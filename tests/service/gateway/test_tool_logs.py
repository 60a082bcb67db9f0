"""What an author reads of the calls of a tool, over the protocol server in both eras."""

from uuid import UUID

from mcpbox.domain.executions import ExecutionOutcome
from mcpbox.domain.ids import ToolId
from tests.service.gateway.factories import an_execution
from tests.service.gateway.running import Connect
from tests.service.gateway.test_management_tools import call, made
from tests.service.gateway.world import World


async def test_the_newest_calls_of_a_tool_are_told_with_what_went_wrong(
    connect: Connect, world: World
) -> None:
    async with connect() as client:
        _, tool_id = await made(client)
        mine = ToolId(UUID(tool_id))
        unused = await call(client, "mcpbox_get_tool_logs", tool_id=tool_id)
        world.executions += [
            an_execution(tool_id=mine, arguments={"a": 1}),
            an_execution(),
            an_execution(
                tool_id=mine,
                outcome=ExecutionOutcome.ERROR,
                error="line 2: KeyError: 'sum'",
                stdout="x" * 9_000,
            ),
        ]
        newest = await call(client, "mcpbox_get_tool_logs", tool_id=tool_id, limit=1)
        good = await call(client, "mcpbox_get_tool_logs", tool_id=tool_id, outcome="ok")

    assert (unused["logs"], unused["total"]) == ([], 0)
    [failed] = newest["logs"]
    assert newest["total"] == 2
    assert (failed["success"], failed["error"]) == (False, "line 2: KeyError: 'sum'")
    assert failed["stdout"] == "x" * 2_000 + "… (cut)"
    assert "mcpbox_update_tool" in newest["next"]
    [succeeded] = good["logs"]
    assert (succeeded["arguments"], succeeded["result"]) == ({"a": 1}, "3")
    assert succeeded["caller"] == "client:laptop"


async def test_calls_of_an_unknown_tool_and_too_many_of_them_are_refused(connect: Connect) -> None:
    async with connect() as client:
        _, tool_id = await made(client)
        many = await client.call_tool("mcpbox_get_tool_logs", {"tool_id": tool_id, "limit": 51})
        await call(client, "mcpbox_delete_tool", tool_id=tool_id)
        gone = await client.call_tool("mcpbox_get_tool_logs", {"tool_id": tool_id})

    assert "less than or equal to 50" in many.structured_content["error"]["message"]
    assert gone.structured_content["error"]["code"] == "not_found"
