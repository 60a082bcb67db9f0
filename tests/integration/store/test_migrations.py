"""The migrations make exactly the tables that the code uses."""

import pkgutil
from importlib import import_module
from typing import Any

from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from sqlalchemy import Connection

from mcpbox.store import tables
from mcpbox.store.session import connection_to
from mcpbox.store.tables.base import Row
from migrations.run import is_current, upgrade
from tests.integration.conftest import Database

for table in pkgutil.iter_modules(tables.__path__):
    import_module(f"{tables.__name__}.{table.name}")


def differences(connection: Connection) -> list[Any]:
    context = MigrationContext.configure(connection, opts={"compare_type": True})
    return compare_metadata(context, Row.metadata)


async def test_the_migrated_database_has_the_tables_of_the_code(database: Database) -> None:
    async with connection_to(database.url) as connection:
        assert await connection.run_sync(differences) == []


async def test_migrating_again_changes_nothing(database: Database) -> None:
    assert await is_current(database.url)
    await upgrade(database.url)
    assert await is_current(database.url)
