"""docs/guides/operate-with-temporal.md, section by section: its commands do what it says."""

import json
import os
import re
import subprocess
from pathlib import Path
from typing import Any

import pytest

from cli.instance import Instance
from cli.temporal import installed_binary
from mcpbox.domain.requests import Outcome
from mcpbox.temporal import connect
from tests.instances import Installed
from tests.mcp_clients import author_on
from tests.reviewing import Reviewer, eventually

GUIDE = Path(__file__).parents[2] / "docs/guides/operate-with-temporal.md"
_BLOCK = re.compile(r"^```console\n(.*?)^```", re.MULTILINE | re.DOTALL)
_COMMAND = re.compile(r"^\$ (temporal .*(?:\n    .*|\n      .*)*)", re.MULTILINE)

LEADS_TO = {
    "List what waits": "awaiting_decision",
    "Read one": "awaiting_decision",
    "Decide by signal": "applied",
    "Decide by update": "applied",
    "Take requests back": "withdrawn",
    "Begin a stuck request anew": "awaiting_decision",
    "End a request by force": "withdrawn",
}
"""``{section: the state it leaves a waiting request in}``."""
SAYS = {
    "List what waits": ("$REQUEST", "Total"),
    "Read one": ("$DIGEST", "awaiting_decision", "temporal workflow signal", "For the runbook."),
    "Decide by update": ("state:applied",),
}


def commands() -> dict[str, list[str]]:
    """``{section: its commands}``, those of sections that have any."""
    sections = (part.partition("\n") for part in GUIDE.read_text().split("\n## ")[1:])
    found = {
        heading: [command for block in _BLOCK.findall(text) for command in _COMMAND.findall(block)]
        for heading, _, text in sections
    }
    return {heading: listed for heading, listed in found.items() if listed}


def test_every_command_of_the_runbook_is_run() -> None:
    assert set(commands()) == set(LEADS_TO)
    written = re.findall(r"^\$ temporal ", GUIDE.read_text(), re.MULTILINE)
    assert sum(map(len, commands().values())) == len(written)


@pytest.fixture(scope="module")
def variables(instance: Installed) -> dict[str, str]:
    """As ``eval "$(mcpbox temporal env)"`` sets them."""
    given = instance.command("temporal", "env", "--json")
    assert given.returncode == 0, given.stderr
    path = f"{installed_binary().parent}:{os.environ['PATH']}"
    return {"PATH": path, "HOME": "/nonexistent", **json.loads(given.stdout)}


@pytest.mark.parametrize("section", LEADS_TO)
async def test_the_commands_of_a_section_do_what_it_says(
    instance: Installed, reviewer: Reviewer, variables: dict[str, str], section: str
) -> None:
    request = await waiting(instance, reviewer)
    named = {
        "REQUEST": request["workflow_id"],
        "DIGEST": request["digest"],
        "SERVER": request["server_name"],
    }

    said = "".join(run(command, variables | named) for command in commands()[section])

    for wanted in SAYS.get(section, ()):
        expected = named.get(wanted.removeprefix("$"), wanted)
        assert expected in said, said
    if LEADS_TO[section] == "awaiting_decision":
        await waits(instance, request)
        decided = await reviewer.decide(request)
        assert decided.json()["state"] == "applied", decided.text
    else:
        await reviewer.when(request["id"], LEADS_TO[section])


async def waiting(instance: Installed, reviewer: Reviewer) -> dict[str, Any]:
    async with author_on(instance) as author:
        request_id = await author.ask(await author.draft(), notes="For the runbook.")
    return await reviewer.when(request_id, "awaiting_decision")


async def waits(instance: Installed, request: dict[str, Any]) -> None:
    """A run that was reset gathers the evidence again first."""
    client = await connect(
        instance.temporal_address,
        instance.settings.temporal_namespace,
        Instance(instance.settings).temporal_keys(),
    )
    workflow = client.get_workflow_handle(request["workflow_id"])

    async def reached() -> bool:
        outcome = await workflow.query("outcome", result_type=Outcome)
        return outcome.state == "awaiting_decision"

    await eventually(reached)


def run(command: str, variables: dict[str, str]) -> str:
    done = subprocess.run(  # noqa: S602 - our own documentation, as its reader types it
        command,
        shell=True,
        env=variables,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, f"{command}\n{done.stdout}{done.stderr}"
    return done.stdout
