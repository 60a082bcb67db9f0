"""I10 in Postgres: nothing changes what is written, and what was changed anyway is found."""

import asyncio
from collections.abc import AsyncGenerator

import asyncpg
import pytest
import pytest_asyncio
from pydantic import SecretStr
from sqlalchemy import make_url

from mcpbox.anchors import AnchorSigner
from mcpbox.domain.audit import Action, AuditVerification, Protection
from mcpbox.domain.people import SYSTEM
from mcpbox.store.audit import add_event
from mcpbox.store.session import Sessions, make_sessions, plain_url, transaction
from mcpbox.usecases.audit import Audit
from migrations.run import upgrade
from tests.instances import Installed
from tests.integration.conftest import Database

SIGNER = AnchorSigner(SecretStr("ab" * 32))
CHANGES = (
    "UPDATE {table} SET hash = 'x'",
    "DELETE FROM {table}",
    "TRUNCATE {table}",
)
TABLES = ("audit_events", "audit_anchors")


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def application(instance: Installed, database: Database) -> AsyncGenerator[Sessions]:
    """As the processes of the instance connect, in this module's database."""
    theirs = make_url(instance.process_environment()["MCPBOX_DATABASE_URL"])
    await upgrade(database.url, theirs.username)
    name = make_url(database.url).database
    url = theirs.set(database=name).render_as_string(hide_password=False)
    sessions = make_sessions(url, connections=8)
    yield sessions
    await sessions.kw["bind"].dispose()


async def write(sessions: Sessions, count: int = 1) -> None:
    for number in range(count):
        async with transaction(sessions) as session:
            add_event(
                session,
                actor="person:ana",
                action=Action.TOOL_UPDATED,
                subject="tool:1",
                detail=f"change {number}",
                facts={"number": number, "share": 0.1},
            )


async def owner(database: Database) -> asyncpg.Connection:
    return await asyncpg.connect(plain_url(database.url))


async def forge(database: Database, statement: str, *given: object) -> None:
    """By whoever owns the tables, and knows about the trigger."""
    connection = await owner(database)
    async with connection.transaction():
        await connection.execute("ALTER TABLE audit_events DISABLE TRIGGER append_only")
        await connection.execute(statement, *given)
        await connection.execute("ALTER TABLE audit_events ENABLE ALWAYS TRIGGER append_only")
    await connection.close()


async def verified(sessions: Sessions) -> AuditVerification:
    return await Audit(sessions, SIGNER).verify()


@pytest.mark.parametrize("table", TABLES)
@pytest.mark.parametrize("change", CHANGES)
async def test_i10_the_applications_role_has_no_right_to_change_the_log(
    application: Sessions, table: str, change: str
) -> None:
    await write(application)
    connection: asyncpg.Connection = await asyncpg.connect(
        plain_url(application.kw["bind"].url.render_as_string(hide_password=False))
    )
    try:
        with pytest.raises(asyncpg.InsufficientPrivilegeError, match="permission denied"):
            await connection.execute(change.format(table=table))
        with pytest.raises(asyncpg.InsufficientPrivilegeError, match="must be owner"):
            await connection.execute(f"ALTER TABLE {table} DISABLE TRIGGER ALL")
    finally:
        await connection.close()


@pytest.mark.parametrize("table", TABLES)
@pytest.mark.parametrize("change", CHANGES)
async def test_i10_a_trigger_refuses_even_the_owner(
    database: Database, table: str, change: str
) -> None:
    await write(database.sessions)
    connection = await owner(database)
    try:
        for mode in ("origin", "replica"):
            await connection.execute(f"SET session_replication_role = {mode}")
            with pytest.raises(asyncpg.InsufficientPrivilegeError, match="append-only"):
                await connection.execute(change.format(table=table))
    finally:
        await connection.close()


async def test_it_is_told_what_keeps_the_log_from_the_application(
    application: Sessions, database: Database
) -> None:
    assert (await verified(application)).protection is Protection.RIGHTS
    assert (await verified(database.sessions)).protection is Protection.TRIGGER
    connection = await owner(database)
    await connection.execute("ALTER TABLE audit_events DISABLE TRIGGER append_only")
    assert (await verified(database.sessions)).protection is Protection.NOTHING
    await connection.execute("ALTER TABLE audit_events ENABLE ALWAYS TRIGGER append_only")
    await connection.close()


async def test_events_of_many_writers_make_one_chain_that_verifies(
    application: Sessions, database: Database
) -> None:
    await asyncio.gather(*(write(application, 5) for _ in range(8)))

    report = (await verified(application)).report

    assert report.whole, report.broken
    assert report.events >= 40


async def test_i10_an_edit_behind_our_back_is_found_and_named(
    application: Sessions, database: Database
) -> None:
    await write(application, 3)
    connection = await owner(database)
    victim = await connection.fetchval("SELECT max(sequence) - 1 FROM audit_events")
    assert isinstance(victim, int)
    await connection.close()

    await forge(
        database, "UPDATE audit_events SET actor = 'person:eve' WHERE sequence = $1", victim
    )
    broken = (await verified(application)).report.broken
    await forge(
        database, "UPDATE audit_events SET actor = 'person:ana' WHERE sequence = $1", victim
    )

    assert broken
    assert broken.sequence == victim
    assert (await verified(application)).report.whole


async def test_i10_a_tail_that_was_cut_shows_against_the_stored_anchor_and_against_a_kept_one(
    application: Sessions, database: Database
) -> None:
    """The last test of this module: what it cuts off is gone."""
    await write(application, 3)
    audit = Audit(application, SIGNER)
    anchor, _ = await audit.anchor(SYSTEM)
    assert (await audit.verify()).report.anchors == 1

    await forge(database, "DELETE FROM audit_events WHERE sequence >= $1", anchor.sequence)
    assert (broken := (await audit.verify()).report.broken)
    assert broken.sequence == anchor.sequence

    connection = await owner(database)
    await connection.execute("ALTER TABLE audit_anchors DISABLE TRIGGER append_only")
    await connection.execute("DELETE FROM audit_anchors")
    await connection.close()
    assert (await audit.verify()).report.whole, "a chain alone does not show it"
    assert (broken := (await audit.verify([anchor])).report.broken)
    assert "cut off" in broken.problem


async def test_a_stored_anchor_that_somebody_else_signed_counts_for_nothing(
    application: Sessions,
) -> None:
    stranger = Audit(application, AnchorSigner(SecretStr("cd" * 32)))
    await write(application)
    await stranger.anchor(SYSTEM)

    found = await verified(application)

    assert (found.report.anchors, found.unsigned_anchors) == (0, 1)
