"""The way to a tool that can be called."""

from tests.mcp_clients import ADD, Author, Draft
from tests.reviewing import Reviewer, eventually


async def released(author: Author, reviewer: Reviewer, code: str = ADD) -> Draft:
    draft = await author.draft(code)
    outcome = await reviewer.approve(await author.ask(draft))
    assert outcome["state"] == "applied", outcome

    async def listed() -> bool:
        return draft.callable_name in await author.tool_names()

    await eventually(listed)
    author.changed.clear()
    return draft
