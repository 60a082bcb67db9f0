"""Real parts, taken from one running instance; every test module has a database of its own."""

from collections.abc import AsyncGenerator
from dataclasses import dataclass
from uuid import uuid4

import asyncpg
import pytest_asyncio
from pydantic import SecretStr
from sqlalchemy import make_url

from mcpbox.sandbox_client import ModuleSets, SandboxClient
from mcpbox.store.session import Sessions, make_sessions, plain_url
from migrations.run import upgrade
from tests.instances import Installed


@dataclass(frozen=True)
class Database:
    url: str
    sessions: Sessions


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def database(instance: Installed) -> AsyncGenerator[Database]:
    """Empty but for its tables, in the instance's Postgres."""
    name = f"test_{uuid4().hex[:10]}"
    admin = await asyncpg.connect(plain_url(instance.database_url))
    await admin.execute(f"CREATE DATABASE {name}")
    url = make_url(instance.database_url).set(database=name)
    plain = url.render_as_string(hide_password=False)
    await upgrade(plain)
    sessions = make_sessions(plain, connections=8)
    yield Database(plain, sessions)
    await sessions.kw["bind"].dispose()
    await admin.execute(f"DROP DATABASE {name} WITH (FORCE)")
    await admin.close()


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def sandbox(instance: Installed) -> AsyncGenerator[SandboxClient]:
    client = sandbox_of(instance)
    yield client
    await client.aclose()


def sandbox_of(instance: Installed, module_sets: ModuleSets | None = None) -> SandboxClient:
    given = instance.process_environment()
    return SandboxClient(
        url="http://sandbox",
        api_key=SecretStr(given["MCPBOX_SANDBOX_API_KEY"]),
        socket=given["MCPBOX_SANDBOX_SOCKET"],
        module_sets=module_sets,
    )
