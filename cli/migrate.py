"""``mcpbox migrate``: the schema of the database, brought up to this version.

Where nothing starts everything at once, this is also the first start: it makes the admin account.
"""

import asyncio

from cli.database import check_database, prepare_tables
from cli.instance import Instance
from cli.output import echo
from mcpbox.settings import Settings
from mcpbox.store.session import make_sessions
from mcpbox.usecases.people import ensure_admin
from migrations.run import is_current


def migrate(settings: Settings) -> None:
    """Raises: NotFound: no instance here; Invalid, Refused, Unavailable: as the database says."""
    instance = Instance(settings)
    owner_url = instance.owner_database_url().get_secret_value()
    asyncio.run(_migrate(instance.database_url().get_secret_value(), owner_url, settings))


async def _migrate(database_url: str, owner_url: str, settings: Settings) -> None:
    await check_database(owner_url)
    current = await is_current(owner_url)
    await prepare_tables(database_url, owner_url)
    echo("The database is up to date." if current else "The database was brought up to date.")
    if settings.admin_password is None:
        return
    sessions = make_sessions(database_url, connections=2)
    try:
        await ensure_admin(sessions, settings.admin_password)
    finally:
        await sessions.kw["bind"].dispose()
    echo("The account 'admin' is there.")
