"""``mcpbox migrate``: the schema of the database, brought up to this version.

Where nothing starts everything at once, this is also the first start: it makes the admin account.
"""

import asyncio

from cli.database import check_database
from cli.instance import Instance
from cli.output import echo
from mcpbox.settings import Settings
from mcpbox.store.session import make_sessions
from mcpbox.usecases.people import ensure_admin
from migrations.run import is_current, upgrade


def migrate(settings: Settings) -> None:
    """Raises: NotFound: no instance here; Invalid, Refused, Unavailable: as the database says."""
    database_url = Instance(settings).database_url().get_secret_value()
    asyncio.run(_migrate(database_url, settings))


async def _migrate(database_url: str, settings: Settings) -> None:
    await check_database(database_url)
    current = await is_current(database_url)
    if not current:
        await upgrade(database_url)
    echo("The database is up to date." if current else "The database was brought up to date.")
    if settings.admin_password is None:
        return
    sessions = make_sessions(database_url, pool_size=1)
    try:
        await ensure_admin(sessions, settings.admin_password)
    finally:
        await sessions.kw["bind"].dispose()
    echo("The account 'admin' is there.")
