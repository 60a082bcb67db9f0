"""Whether the database can be used at all, asked before anything else talks to it."""

import asyncpg

from mcpbox.domain.errors import Invalid, Refused, Unavailable
from mcpbox.store.session import plain_url

_TIMEOUT_S = 5


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
