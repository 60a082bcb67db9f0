"""What may be called ends at once, whichever fact behind it ends (I1)."""

import asyncio
from collections.abc import Awaitable, Callable
from uuid import UUID

import asyncpg
import pytest
from mcp import MCPError

from mcpbox.store.session import plain_url
from tests.e2e.publishing import released
from tests.instances import Installed
from tests.mcp_clients import ERAS, Author, Draft, Era, author_on
from tests.reviewing import Reviewer, eventually

AT_ONCE_S = 5.0
"""A bound for a loaded machine; `make bench` shows how soon it really is."""
REACHES_OUT = """async def main() -> str:
    return (await http.get("https://api.example.com/rates")).text
"""


async def stop_server(_: Installed, author: Author, draft: Draft) -> None:
    await author.call("mcpbox_stop_server", server_id=draft.server_id)


async def disable_tool(_: Installed, author: Author, draft: Draft) -> None:
    await author.call("mcpbox_update_tool", tool_id=draft.tool_id, enabled=False)


async def tamper_with_code(instance: Installed, _: Author, draft: Draft) -> None:
    await behind_our_back(
        instance,
        "UPDATE tool_versions SET code = code || '# more' WHERE tool_id = $1",
        UUID(draft.tool_id),
    )


async def revoke_grant(instance: Installed, _: Author, draft: Draft) -> None:
    await behind_our_back(
        instance,
        "UPDATE grants SET revoked_at = now() WHERE server_id = $1",
        UUID(draft.server_id),
    )


async def remove_receipt(instance: Installed, _: Author, draft: Draft) -> None:
    await behind_our_back(
        instance,
        "UPDATE releases SET receipt = NULL WHERE tool_id = $1",
        UUID(draft.tool_id),
    )


async def end_release(instance: Installed, _: Author, draft: Draft) -> None:
    await behind_our_back(
        instance,
        "UPDATE releases SET active_to = now() WHERE tool_id = $1",
        UUID(draft.tool_id),
    )


async def behind_our_back(instance: Installed, statement: str, *arguments: object) -> None:
    """By whoever has the database; told to everybody as any change is."""
    connection = await asyncpg.connect(plain_url(instance.database_url))
    try:
        async with connection.transaction():
            assert await connection.execute(statement, *arguments) == "UPDATE 1"
            await connection.execute("SELECT pg_notify('mcpbox', 'catalog:')")
    finally:
        await connection.close()


Narrowing = Callable[[Installed, Author, Draft], Awaitable[None]]
NARROWINGS: dict[str, tuple[Narrowing, str]] = {
    "its server is stopped": (stop_server, "is stopped"),
    "it is disabled": (disable_tool, "is disabled"),
    "its code is not what was approved": (tamper_with_code, "not what was approved"),
    "its release has no receipt": (remove_receipt, "no approval receipt"),
    "a grant it needs is revoked": (revoke_grant, "api.example.com"),
    "its release has ended": (end_release, "There is no tool"),
}


@pytest.mark.parametrize("era", ERAS)
@pytest.mark.parametrize("when", NARROWINGS)
async def test_i1_a_released_tool_is_neither_listed_nor_callable_when(
    instance: Installed, reviewer: Reviewer, when: str, era: Era
) -> None:
    """Also for a client that was connected, and told of it, all the time."""
    narrow, reason = NARROWINGS[when]
    async with author_on(instance, era) as author:
        draft = await released(author, reviewer, REACHES_OUT)

        async def gone() -> bool:
            return draft.callable_name not in await author.tool_names()

        await narrow(instance, author, draft)
        async with asyncio.timeout(AT_ONCE_S):
            await author.changed.wait()
            # News of the release itself may come as late as that.
            await eventually(gone)

        assert reason in await refusal(author, draft)


async def refusal(author: Author, draft: Draft) -> str:
    try:
        return await author.failure(draft.callable_name)
    except MCPError as error:
        return str(error)
