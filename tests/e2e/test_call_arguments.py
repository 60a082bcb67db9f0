"""Arguments of released tools are judged before the sandbox sees them."""

from typing import Any

import pytest

from tests.e2e.publishing import listed, released
from tests.instances import Installed
from tests.mcp_clients import ERAS, Era, author_on
from tests.reviewing import Reviewer

TAKES_ANYTHING = "async def main(**given) -> int:\n    return len(given)\n"


def nested(levels: int) -> dict[str, Any]:
    value: dict[str, Any] = {}
    for _ in range(levels):
        value = {"a": value}
    return value


@pytest.mark.parametrize("era", ERAS)
async def test_wrong_arguments_are_named_with_their_place(
    instance: Installed, reviewer: Reviewer, era: Era
) -> None:
    async with author_on(instance, era) as author:
        draft = await released(author, reviewer)

        assert "At a: 'x' is not of type 'integer'" in await author.failure(
            draft.callable_name, a="x"
        )
        assert "'a' is a required property" in await author.failure(draft.callable_name)
        assert "'c' was unexpected" in await author.failure(draft.callable_name, a=1, c=2)


async def test_what_is_nested_too_deeply_is_said_to_be(
    instance: Installed, reviewer: Reviewer
) -> None:
    async with author_on(instance) as author:
        draft = await released(author, reviewer, TAKES_ANYTHING)

        assert "flatter" in await author.failure(draft.callable_name, **nested(120))
        assert await author.call(draft.callable_name, **nested(50)) == {"result": 1}


async def test_a_tool_reaches_only_the_hosts_that_its_own_code_names(
    instance: Installed, reviewer: Reviewer
) -> None:
    """What another tool of the server was granted is not its to use: nobody saw it ask."""
    names_it = (
        'async def main() -> int:\n    return (await http.get("https://a.example/")).status_code\n'
    )
    builds_it = (
        "async def main(host: str) -> int:\n"
        '    return (await http.get("https://" + host)).status_code\n'
    )
    async with author_on(instance) as author:
        first = await released(author, reviewer, names_it)
        made = await author.call(
            "mcpbox_create_tool", server_id=first.server_id, name="sly", python_code=builds_it
        )
        asked = await author.call("mcpbox_request_publish", tool_id=made["id"])
        await reviewer.approve(asked["request_id"])
        sly = first.callable_name.replace("__add", "__sly")
        await listed(author, sly)

        refused = await author.failure(sly, host="a.example")

    assert "blocked by policy" in refused or "not granted" in refused
