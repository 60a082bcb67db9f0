"""Bad input to a tool or a workflow is answered with what is wrong, where and what to do."""

import json
from typing import Any

import pytest
from mcp import MCPError

from cli.instance import Instance
from mcpbox.temporal import Message, connect
from tests.e2e.desk import UNKNOWN, Desk
from tests.e2e.leaks import assert_tells_nothing_inside
from tests.instances import Installed
from tests.mcp_clients import ADD, ERAS, Era, author_on
from tests.reviewing import Reviewer, eventually


def creating(**changes: Any) -> dict[str, Any]:
    return {"server_id": "$server_id", "name": "other", "python_code": ADD} | changes


def nested(levels: int) -> Any:
    return json.loads('{"a":' * levels + "1" + "}" * levels)


DEEP = nested(120)
MANAGEMENT: dict[str, tuple[str, dict[str, Any], tuple[str, ...]]] = {
    "invalid Python": (
        "create_tool",
        creating(python_code="async def main(a: int):\n    return a +\n"),
        ("line 2, column", "Invalid Python"),
    ),
    "no main": (
        "create_tool",
        creating(python_code="def helper():\n    pass\n"),
        ("async def main",),
    ),
    "main that is not async": (
        "create_tool",
        creating(python_code="def main():\n    pass\n"),
        ("line 1, column 1", "async def main"),
    ),
    "code over the limit": (
        "create_tool",
        creating(python_code=ADD + "#" * (256 * 1024)),
        ("256 KB", "line 1"),
    ),
    "code with NUL": ("create_tool", creating(python_code=ADD + "\x00"), ("python_code", "NUL")),
    "code nested too deeply": (
        "create_tool",
        creating(python_code=f"async def main():\n    return {'+'.join(['1'] * 5000)}\n"),
        ("nested too deeply",),
    ),
    "annotations nested too deeply": (
        "create_tool",
        creating(python_code=f"async def main(a: {'list[' * 90}int{']' * 90}):\n    return a\n"),
        ("line 1, column 1", "flatter"),
    ),
    "a schema that is not an object": (
        "create_tool",
        creating(input_schema={"type": "array"}),
        ("input_schema", '"type": "object"'),
    ),
    "a schema that is no schema": (
        "create_tool",
        creating(input_schema={"type": "object", "required": "a"}),
        ("input_schema", "required"),
    ),
    "a schema that is text": (
        "create_tool",
        creating(input_schema="object"),
        ("input_schema",),
    ),
    "a schema nested too deeply": (
        "create_tool",
        creating(input_schema={"type": "object", "properties": DEEP}),
        ("input_schema", "flatter"),
    ),
    "a tool's name that is taken": (
        "create_tool",
        creating(name="add"),
        ("tool named 'add' exists", "another name"),
    ),
    "a tool's name that is malformed": (
        "create_tool",
        creating(name="Add It"),
        ("name", "lower-case"),
    ),
    "a tool's name that is ambiguous": ("create_tool", creating(name="a__b"), ("'__'",)),
    "an unknown server": (
        "create_tool",
        creating(server_id=UNKNOWN),
        (f"no server '{UNKNOWN}'",),
    ),
    "a server's name that is taken": (
        "create_server",
        {"name": "$server_name"},
        ("exists already", "another name"),
    ),
    "a server's name that is reserved": ("create_server", {"name": "mcpbox"}, ("reserved",)),
    "a server's name that is too long": ("create_server", {"name": "a" * 63}, ("name", "62")),
    "a description with NUL": (
        "create_server",
        {"name": "fresh", "description": "a\x00"},
        ("description", "NUL"),
    ),
    "a description that is too long": (
        "create_server",
        {"name": "fresh", "description": "a" * 2001},
        ("description", "2000"),
    ),
    "an unknown tool's id": ("get_tool", {"tool_id": UNKNOWN}, (f"no tool '{UNKNOWN}'",)),
    "a malformed id": ("get_tool", {"tool_id": "7"}, ("tool_id", "UUID")),
    "a missing id": ("get_tool", {}, ("tool_id", "is required")),
    "an id of the wrong kind": ("get_tool", {"tool_id": ["x"]}, ("tool_id",)),
    "an unknown parameter": ("get_tool", {"tool_id": UNKNOWN, "id": 1}, ("id", "not a parameter")),
    "trying an unknown tool": ("test_code", {"tool_id": UNKNOWN}, (UNKNOWN,)),
    "arguments that are no object": (
        "test_code",
        {"tool_id": "$tool_id", "arguments": [1]},
        ("arguments",),
    ),
    "sample arguments that are no object": (
        "request_publish",
        {"tool_id": "$tool_id", "sample_arguments": "a=1"},
        ("sample_arguments",),
    ),
    "sample arguments that are too large": (
        "request_publish",
        {"tool_id": "$tool_id", "sample_arguments": {"a": "x" * 70_000}},
        ("sample_arguments", "64 KB"),
    ),
    "sample arguments with NUL": (
        "request_publish",
        {"tool_id": "$tool_id", "sample_arguments": {"a\x00": 1}},
        ("sample_arguments", "NUL"),
    ),
    "arguments nested too deeply": (
        "test_code",
        {"tool_id": "$tool_id", "arguments": DEEP},
        ("arguments", "flatter"),
    ),
    "sample arguments nested too deeply": (
        "request_publish",
        {"tool_id": "$tool_id", "sample_arguments": DEEP},
        ("sample_arguments", "flatter"),
    ),
    "notes that are too long": (
        "request_publish",
        {"tool_id": "$tool_id", "notes": "a" * 2001},
        ("notes", "2000"),
    ),
    "publishing an unknown tool": ("request_publish", {"tool_id": UNKNOWN}, (UNKNOWN,)),
    "page zero": ("list_servers", {"page": 0}, ("page", "1")),
    "a page that is too large": ("list_tools", {"page_size": 101}, ("page_size", "100")),
    "a page beyond all numbers": ("list_servers", {"page": 10**30}, ("page", "1000000")),
    "a page that is text": ("list_pending_requests", {"page": "first"}, ("page",)),
    "withdrawing an unknown request": ("withdraw_request", {"request_id": UNKNOWN}, (UNKNOWN,)),
    "withdrawing a finished request": (
        "withdraw_request",
        {"request_id": "$finished_id"},
        ("denied",),
    ),
}


@pytest.mark.parametrize("case", MANAGEMENT)
async def test_a_management_tool_says_what_is_wrong_and_what_to_do(
    instance: Installed, desk: Desk, case: str
) -> None:
    tool, arguments, told = MANAGEMENT[case]
    async with author_on(instance) as author:
        said = await author.failure(f"mcpbox_{tool}", **desk.fill(arguments))

    assert [words for words in told if words not in said] == [], said
    assert_tells_nothing_inside(instance, said)


@pytest.mark.parametrize("era", ERAS)
async def test_both_eras_are_told_the_same(instance: Installed, desk: Desk, era: Era) -> None:
    async with author_on(instance, era) as author:
        refused = await author.failure("mcpbox_create_tool", **desk.fill(creating(name="add")))
        with pytest.raises(MCPError, match="There is no tool 'mcpbox_approve'") as unknown:
            await author.client.call_tool("mcpbox_approve", {"request_id": desk.waiting_id})
        assert await author.call("mcpbox_get_tool", tool_id=desk.tool_id)

    assert refused == "A tool named 'add' exists already; choose another name."
    assert_tells_nothing_inside(instance, str(unknown.value))


ODD_CODE = {
    "a default that is no character": "async def main(a: str = '\\ud800'):\n    return 1\n",
    "a default that is infinite": "async def main(a: float = 1e999):\n    return 1\n",
    "a default beyond all numbers": f"async def main(a: int = 0x{'f' * 9000}):\n    return 1\n",
    "a default that cannot be": "async def main(a={{}}):\n    return 1\n",
    "a literal of bytes": "async def main(a: Literal[b'x', 1j]):\n    return 1\n",
    "an empty literal": "async def main(a: list[()], b: dict[()], c: Union[()]):\n    return 1\n",
    "an empty annotation": "async def main(a: Annotated[()]):\n    return 1\n",
    "an annotation with NUL": "async def main(a: 'x\\x00'):\n    return 1\n",
    "a long union": f"async def main(a: {'|'.join(['int'] * 800)}):\n    return 1\n",
    "a secret that has no name": "async def main():\n    return secrets['\\ud800']\n",
    "a host with NUL": "async def main():\n    return await http.get('http://a\\x00b/')\n",
}


@pytest.mark.parametrize("odd", ODD_CODE)
async def test_odd_but_valid_code_is_kept_and_can_be_asked_for(
    instance: Installed, reviewer: Reviewer, odd: str
) -> None:
    async with author_on(instance) as author:
        request_id = await author.ask(await author.draft(ODD_CODE[odd]))

    # The sandbox has limits of its own, and says so.
    await reviewer.when(request_id, "awaiting_decision", "vetoed")


async def test_output_that_no_database_keeps_is_shown_all_the_same(
    instance: Installed, reviewer: Reviewer
) -> None:
    code = "async def main(fail=False):\n    print('a\\x00b')\n    assert not fail, 'c\\x00d'\n"
    async with author_on(instance) as author:
        draft = await author.draft(code)
        await author.call("mcpbox_test_code", tool_id=draft.tool_id)
        failed = await author.call(
            "mcpbox_test_code", tool_id=draft.tool_id, arguments={"fail": True}
        )

    assert "AssertionError" in failed["error"]
    logged = await reviewer.get(f"/executions?tool_id={draft.tool_id}")
    assert [run["stdout"] for run in logged["items"]] == ["a\N{REPLACEMENT CHARACTER}b\n"] * 2


async def test_a_signal_that_no_database_keeps_is_refused_and_holds_nothing_up(
    instance: Installed, reviewer: Reviewer
) -> None:
    async with author_on(instance) as author:
        request_id = await author.ask(await author.draft(), sample_arguments={"a": 1})
    request = await reviewer.when(request_id, "awaiting_decision")
    client = await connect(
        instance.temporal_address,
        instance.settings.temporal_namespace,
        Instance(instance.settings).temporal_keys(),
    )
    workflow = client.get_workflow_handle(request["workflow_id"])
    decision = {"verdict": "deny", "reviewer": "admin", "seen_digest": request["digest"]}

    await workflow.signal(Message.DECIDE, decision | {"reason": "a\x00b"})
    await workflow.signal(Message.DECIDE, decision | {"reviewer": "a\x00b"})
    await workflow.signal(Message.DECIDE, decision | {"a\x00b": 1})
    await workflow.signal("a\x00b")

    async def refused() -> bool:
        history = (await reviewer.request(request_id))["history"]
        return [entry["action"] for entry in history].count("request:decision:refused") == 4

    await eventually(refused)
    assert (await reviewer.decide(request)).json()["state"] == "applied"
