"""Whether the database can be used at all, and the step that makes it so."""

import asyncpg
from sqlalchemy import make_url

from mcpbox.domain.errors import Invalid, Refused, Unavailable
from mcpbox.store.session import plain_url
from migrations.run import upgrade

_TIMEOUT_S = 5
_HAS_ROLE = "SELECT true FROM pg_roles WHERE rolname = $1"
_MAKE_ROLE = "SELECT format('CREATE ROLE %I LOGIN PASSWORD %L', $1::text, $2::text)"


async def prepare_tables(database_url: str, owner_url: str) -> None:
    """Bring the schema up to this version, and give the application's role its rights.

    Raises: Invalid, Refused, Unavailable: as the database says.
    """
    await check_database(owner_url)
    role = None
    if owner_url != database_url:
        role = await _ensure_role(database_url, owner_url)
    await upgrade(owner_url, role)
    await check_database(database_url)


async def check_database(database_url: str) -> None:
    """Raises: Invalid: no address, or no such database; Refused: bad credentials; Unavailable."""
    try:
        connection = await asyncpg.connect(plain_url(database_url), timeout=_TIMEOUT_S)
    except asyncpg.InvalidAuthorizationSpecificationError:
        raise Refused("Postgres refuses the user or the password in MCPBOX_DATABASE_URL.") from None
    except asyncpg.InvalidCatalogNameError:
        raise Invalid(
            "The database named in MCPBOX_DATABASE_URL does not exist; create it first."
        ) from None
    except (OSError, asyncpg.PostgresError) as error:
        raise Unavailable(
            "Postgres", "Start it with `mcpbox up`, or check MCPBOX_DATABASE_URL."
        ) from error
    except (ValueError, asyncpg.InterfaceError):
        raise Invalid(
            "MCPBOX_DATABASE_URL: must look like postgresql://user:password@host/name"
        ) from None
    await connection.close()


async def _ensure_role(database_url: str, owner_url: str) -> str:
    """Its name; made, where it is missing, with the password of ``database_url``."""
    given = make_url(plain_url(database_url))
    connection = await asyncpg.connect(plain_url(owner_url), timeout=_TIMEOUT_S)
    try:
        if not await connection.fetchval(_HAS_ROLE, given.username):
            # Postgres takes no parameters here, so it does the quoting itself.
            statement = await connection.fetchval(_MAKE_ROLE, given.username, given.password)
            await connection.execute(statement)
    except asyncpg.InsufficientPrivilegeError:
        raise Refused(
            f"The role {given.username!r} of MCPBOX_DATABASE_URL does not exist, and the one of "
            "MCPBOX_OWNER_DATABASE_URL may not make it: make it first, with LOGIN."
        ) from None
    finally:
        await connection.close()
    return str(given.username)
