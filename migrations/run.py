"""Bringing a database to the newest schema, from a checkout and from an installed wheel alike."""

from importlib.resources import files

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, func, select
from sqlalchemy.ext.asyncio import AsyncConnection

from mcpbox.store.session import connection_to
from migrations.rights import grant_to

_LOCK = 0x6D636D67
"""Advisory lock, so that replicas that start together migrate once."""


async def upgrade(database_url: str, application_role: str | None = None) -> None:
    """``application_role``: whoever uses the tables, when another role owns them.

    Raises: Unavailable.
    """
    async with connection_to(database_url) as connection:
        await connection.execute(select(func.pg_advisory_xact_lock(_LOCK)))
        await connection.run_sync(_upgrade)
        if application_role is not None:
            await connection.run_sync(grant_to, application_role)


async def is_current(database_url: str) -> bool:
    """Raises: Unavailable."""
    async with connection_to(database_url) as connection:
        return await _matches(connection)


def config_for(connection: Connection) -> Config:
    """What the ``alembic`` command would read from an ini file."""
    config = Config()
    config.set_main_option("script_location", str(files("migrations")))
    config.attributes["connection"] = connection
    return config


def _upgrade(connection: Connection) -> None:
    command.upgrade(config_for(connection), "head")


async def _matches(connection: AsyncConnection) -> bool:
    def current(sync: Connection) -> bool:
        heads = ScriptDirectory.from_config(config_for(sync)).get_heads()
        return MigrationContext.configure(sync).get_current_heads() == tuple(heads)

    return await connection.run_sync(current)
