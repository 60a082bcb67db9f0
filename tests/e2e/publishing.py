"""The way to a tool that can be called."""

from tests.mcp_clients import ADD, Author, Draft
from tests.reviewing import Reviewer, eventually


async def released(author: Author, reviewer: Reviewer, code: str = ADD) -> Draft:
    draft = await author.draft(code)
    outcome = await reviewer.approve(await author.ask(draft))
    assert outcome["state"] == "applied", outcome
    await listed(author, draft.callable_name)
    return draft


async def listed(author: Author, callable_name: str) -> None:
    """The gateway hears of a release from the database, and may be a moment behind."""

    async def seen() -> bool:
        return callable_name in await author.tool_names()

    await eventually(seen)
    author.changed.clear()
