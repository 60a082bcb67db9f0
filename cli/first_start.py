"""Prepares the database: migrations, the admin account, a token for the first client.

``python -m cli.first_start`` waits for a line on stdin, then answers with JSON, or with one
sentence and an exit code.
"""

import asyncio
import json
import sys
from dataclasses import asdict

from cli.configuration import load_settings
from cli.database import prepare_tables
from cli.output import exit_of
from cli.preparation import Made
from mcpbox.domain.errors import DomainError
from mcpbox.domain.people import Scope
from mcpbox.settings import Settings
from mcpbox.store.session import make_sessions
from mcpbox.usecases.clients import ensure_client
from mcpbox.usecases.people import ensure_admin

FIRST_CLIENT = "first-client"


async def prepare_database(database_url: str, settings: Settings) -> Made:
    """Safe to repeat: what exists stays as it is, and its secret is not shown again."""
    owner = settings.owner_database_url
    await prepare_tables(database_url, owner.get_secret_value() if owner else database_url)
    sessions = make_sessions(database_url, connections=2)
    scopes = frozenset({Scope.AUTHOR, Scope.CALL})
    try:
        return Made(
            admin_password=await ensure_admin(sessions, settings.admin_password),
            client_token=await ensure_client(sessions, FIRST_CLIENT, scopes),
        )
    finally:
        await sessions.kw["bind"].dispose()


def main() -> None:
    sys.stdin.readline()
    try:
        settings = load_settings()
        assert settings.database_url
        made = asyncio.run(prepare_database(settings.database_url.get_secret_value(), settings))
    except DomainError as error:
        sys.stdout.write(str(error))
        sys.exit(exit_of(error))
    sys.stdout.write(json.dumps(asdict(made)))


if __name__ == "__main__":
    main()
