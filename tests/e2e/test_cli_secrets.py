"""``mcpbox secrets``: a value comes from standard input, and nothing shows it again."""

import asyncio
import json
import subprocess
import sys
from functools import partial
from uuid import uuid4

import pytest

from tests.e2e.people import session_of
from tests.instances import Installed
from tests.mcp_clients import author_on

NAME = "WEATHER_KEY"


@pytest.mark.timeout(240)  # each command is a process of its own
async def test_a_secret_is_set_from_standard_input_listed_without_its_value_and_deleted(
    instance: Installed,
) -> None:
    value = f"very-private-{uuid4().hex}"
    async with author_on(instance) as author:
        server_id, _ = await author.create_server()
        await author.call(
            "mcpbox_create_server_secret",
            server_id=server_id,
            name=NAME,
            hosts=["api.example.com"],
        )
    async with await session_of(instance, "viewer") as viewer:
        viewing = (await viewer.get("/auth/me")).json()["username"]

    async def secrets(*arguments: str, said: str = "") -> subprocess.CompletedProcess[str]:
        return await asyncio.to_thread(
            partial(
                subprocess.run,
                [sys.executable, "-m", "cli.main", "secrets", *arguments],
                env=instance.env,
                input=said,
                capture_output=True,
                text=True,
                check=False,
            )
        )

    empty, refused, done = await asyncio.gather(
        secrets("set", server_id, NAME),
        secrets("set", server_id, NAME, "--as", viewing, said=value),
        secrets("rotate", server_id, NAME, said=f"{value}\n"),
    )
    listed = await secrets("list", server_id, "--json")
    gone = await secrets("delete", server_id, NAME)

    assert (empty.returncode, refused.returncode) == (2, 3)
    assert (done.returncode, gone.returncode) == (0, 0), done.stderr + gone.stderr
    [secret] = json.loads(listed.stdout)
    assert (secret["name"], secret["is_set"], secret["set_by"]) == (NAME, True, "person:admin")
    for told in (empty, refused, done, listed, gone):
        assert value not in told.stdout + told.stderr
    assert value not in instance.log()
