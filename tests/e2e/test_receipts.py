"""What people approved is signed, and the sandbox believes nothing else, not even our database."""

import json
from pathlib import Path
from typing import Any
from uuid import UUID

import asyncpg

from mcpbox.domain.digests import digest_of
from mcpbox.store.session import plain_url
from mcpbox.store.tables.tools import VersionRow
from mcpbox.store.tools import content_of
from tests.e2e.publishing import released
from tests.instances import Installed
from tests.mcp_clients import ADD, Author, Draft, author_on
from tests.reviewing import Reviewer, eventually

EVIL = ADD.replace("a + b", "666")


async def rewrite(instance: Installed, draft: Draft, code: str) -> None:
    """All rows that say what was approved, so that they agree on something else."""
    connection = await asyncpg.connect(plain_url(instance.database_url))
    await connection.set_type_codec(
        "json", encoder=json.dumps, decoder=json.loads, schema="pg_catalog"
    )
    try:
        async with connection.transaction():
            found = await connection.fetchrow(
                "SELECT * FROM tool_versions WHERE tool_id = $1", UUID(draft.tool_id)
            )
            assert found is not None
            digest = digest_of(content_of(VersionRow(**{**found, "code": code})))
            for statement in (
                "UPDATE tool_versions SET digest = $1, code = $3 WHERE tool_id = $2",
                "UPDATE releases SET digest = $1 WHERE tool_id = $2 AND $3 <> ''",
                "UPDATE change_requests SET digest = $1 WHERE tool_id = $2 AND $3 <> ''",
            ):
                await connection.execute(statement, digest, UUID(draft.tool_id), code)
            await connection.execute("SELECT pg_notify('mcpbox', 'catalog:')")
    finally:
        await connection.close()


async def refused_call(author: Author, draft: Draft) -> str:
    """Once the gateway has heard of the change."""

    async def refused() -> str:
        result = await author.client.call_tool(draft.callable_name, {"a": 1})
        return str(result.content) if result.is_error else ""

    return await eventually(refused)


async def test_i1_rows_that_agree_with_each_other_approve_nothing(
    instance: Installed, reviewer: Reviewer
) -> None:
    """Whoever can write to the database has no key: code, digest and release say another thing."""
    async with author_on(instance) as author:
        draft = await released(author, reviewer)
        assert await author.call(draft.callable_name, a=40) == {"sum": 42}

        await rewrite(instance, draft, EVIL)

        said = await refused_call(author, draft)
        assert "the receipt is for other code" in said
        assert "Publish the tool again" in said

        async def logged() -> dict[str, Any] | None:
            page = await reviewer.get(f"/executions?tool_id={draft.tool_id}")
            return next((run for run in page["items"] if run["outcome"] != "ok"), None)

        run = await eventually(logged)
        assert run["outcome"] == "refused"
        shown = await reviewer.get(f"/tools/{draft.tool_id}/receipt")
        assert not shown["valid"]
        assert "another version" in shown["problem"]


async def test_a_receipt_is_shown_downloaded_and_verified(
    instance: Installed, reviewer: Reviewer, tmp_path: Path
) -> None:
    async with author_on(instance) as author:
        draft = await released(author, reviewer)
        waiting = await author.draft()

    shown = await reviewer.get(f"/tools/{draft.tool_id}/receipt")
    good, forged = tmp_path / "good.json", tmp_path / "forged.json"
    good.write_text(shown["envelope"])
    forged.write_text(shown["envelope"].replace('"payload": "', '"payload": "AAAA'))

    assert shown["valid"]
    assert shown["approved"]["approved_by"] == ["admin"]
    assert (await reviewer.api.get(f"/tools/{waiting.tool_id}/receipt")).status_code == 404
    verified = instance.command("receipts", "verify", str(good), "--json")
    assert verified.returncode == 0, verified.stderr
    assert json.loads(verified.stdout)["digest"] == shown["approved"]["digest"]
    assert instance.command("receipts", "verify", str(forged)).returncode == 3
    assert instance.command("receipts", "verify", str(tmp_path / "none")).returncode == 4
    assert instance.command("receipts", "verify", __file__).returncode == 2


async def test_the_public_key_is_shown_and_nothing_secret_is(instance: Installed) -> None:
    shown = instance.command("receipts", "public-key")

    key = instance.process_environment()["MCPBOX_ENCRYPTION_KEY"]
    assert shown.returncode == 0, shown.stderr
    assert len(shown.stdout.strip()) == 44
    assert key not in shown.stdout
