"""People with one role each, signed in over REST."""

from uuid import uuid4

import asyncpg
import httpx
from pydantic import SecretStr

from mcpbox.crypto import hash_password
from mcpbox.store.session import plain_url
from tests.instances import PASSWORD, Installed


async def session_of(instance: Installed, role: str) -> httpx.AsyncClient:
    """Of a new person."""
    name = await new_person(instance, role)
    async with httpx.AsyncClient(base_url=instance.api_url) as http:
        answer = await http.post("/auth/login", json={"username": name, "password": PASSWORD})
    token = answer.raise_for_status().json()["access_token"]
    headers = {"authorization": f"Bearer {token}"}
    return httpx.AsyncClient(base_url=instance.api_url, headers=headers, timeout=30)


async def new_person(instance: Installed, role: str) -> str:
    """Their user name; the password is everybody's."""
    name = f"{role[:3]}{uuid4().hex[:8]}"
    connection = await asyncpg.connect(plain_url(instance.database_url))
    await connection.execute(
        "INSERT INTO users (id, username, password_hash, roles, active, created_at)"
        " VALUES ($1, $2, $3, $4, true, now())",
        uuid4(),
        name,
        hash_password(SecretStr(PASSWORD)),
        [role],
    )
    await connection.close()
    return name
