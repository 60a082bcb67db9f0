"""The section "With tctl" of the runbook: its commands do what it says, and wrong input nothing."""

import os
import re
import shlex
import sys
from pathlib import Path
from typing import Any

import pytest
from temporalio.api.enums.v1 import EventType
from temporalio.client import Client, WorkflowExecutionStatus, WorkflowHandle

from tests.e2e import tctl, test_runbook
from tests.e2e.people import session_of
from tests.e2e.test_policy import changed
from tests.e2e.test_runbook import GUIDE, run, waiting, waits
from tests.instances import Installed
from tests.mcp_clients import author_on
from tests.reviewing import Reviewer, eventually

_BLOCK = re.compile(r"^([^\n]*):\n\n```console\n(.*?)^```", re.MULTILINE | re.DOTALL)
_COMMAND = re.compile(r"^\$ (tctl .*(?:\n    .*)*)", re.MULTILINE)
_EXPORT = re.compile(r"^\$ (export .*)", re.MULTILINE)

DECIDE = "To decide"
BEGIN_ANEW = "To begin it anew"
LEADS_TO = {
    "To list and to read": "awaiting_decision",
    DECIDE: "applied",
    "To take one back": "withdrawn",
    "To take back many": "withdrawn",
    "To let a stuck request go on": "awaiting_decision",
    BEGIN_ANEW: "awaiting_decision",
    "To end one by force": "withdrawn",
}
"""``{the line above the commands: the state that they leave a waiting request in}``."""
SAYS = {
    "To list and to read": ("$REQUEST", "$DIGEST", "awaiting_decision", "For the runbook."),
    DECIDE: ("Signal workflow succeeded.",),
    "To let a stuck request go on": ('"runId"',),
    BEGIN_ANEW: ('"runId"',),
    "To end one by force": ("Trigger request sent",),
}
GOOD = (
    """'{"verdict": "approve", "reviewer": "admin", "reason": "r", "seen_digest": "'"$DIGEST"'"}'"""
)
WRONG = {
    "no input": ("-n decide", "Malformed: input: 0 inputs were sent"),
    "two inputs": (f"-n decide -i {GOOD} -i {GOOD}", "Malformed: input: 2 inputs were sent"),
    "null": ("-n decide -i null", "Malformed: input: "),
    "a string": ("-n decide -i '\"approve\"'", "Malformed: input: "),
    "a list": (f"-n decide -i '['{GOOD}']'", "Malformed: input: "),
    "a missing field": (
        """-n decide -i '{"verdict": "approve", "reviewer": "admin"}'""",
        "Malformed: seen_digest: ",
    ),
    "an unknown name": (f"-n decid -i {GOOD}", "There is no signal 'decid'"),
    "superseded by a string": ("-n supersede -i '\"publish\"'", "Nothing newer is asked for"),
}
"""``{what is wrong: (the end of the command, the refusal on the request)}``."""


def section() -> str:
    return GUIDE.read_text().partition("\n## With tctl\n")[2].partition("\n## ")[0]


def commands() -> dict[str, list[str]]:
    """``{the line above: its commands}``."""
    found = {above: _COMMAND.findall(block) for above, block in _BLOCK.findall(section())}
    return {above: listed for above, listed in found.items() if listed}


def test_every_command_with_tctl_is_run() -> None:
    assert set(commands()) == set(LEADS_TO)
    written = re.findall(r"^\$ tctl ", GUIDE.read_text(), re.MULTILINE)
    assert sum(map(len, commands().values())) == len(written)


variables = test_runbook.variables  # the fixture


class Shell:
    """With the variables of the runbook, and with ``tctl``: what TCTL names, or the stand-in."""

    def __init__(self, variables: dict[str, str], directory: Path) -> None:
        stand_in = shlex.join([sys.executable, "-I", tctl.__file__])
        command = directory / "tctl"
        command.write_text(f'#!/bin/sh\nexec {os.environ.get("TCTL", stand_in)} "$@"\n')
        command.chmod(0o755)
        self._variables = variables | {"PATH": f"{directory}:{variables['PATH']}"}

    def says(self, request: dict[str, Any], command: str) -> str:
        """What it prints; it must succeed."""
        named = {
            "REQUEST": request["workflow_id"],
            "DIGEST": request["digest"],
            "SERVER": request["server_name"],
        }
        exports = _EXPORT.findall(section())
        return run("\n".join([*exports, command]), self._variables | named)

    def fails(self, request: dict[str, Any], command: str) -> str:
        return self.says(request, f"! {command} 2>&1")


@pytest.fixture(scope="module")
def shell(variables: dict[str, str], tmp_path_factory: pytest.TempPathFactory) -> Shell:
    return Shell(variables, tmp_path_factory.mktemp("bin"))


@pytest.mark.parametrize("purpose", LEADS_TO)
async def test_the_commands_for_a_purpose_do_what_the_guide_says(
    instance: Installed, reviewer: Reviewer, shell: Shell, purpose: str
) -> None:
    request = await waiting(instance, reviewer)

    said = "".join(shell.says(request, command) for command in commands()[purpose])

    for wanted in SAYS.get(purpose, ()):
        named = {"$REQUEST": request["workflow_id"], "$DIGEST": request["digest"]}
        assert named.get(wanted, wanted) in said, said
    if LEADS_TO[purpose] == "awaiting_decision":
        await waits(instance, request)
        shell.says(request, commands()[DECIDE][0])
        await reviewer.when(request["id"], "applied")
    else:
        await reviewer.when(request["id"], LEADS_TO[purpose])


async def test_a_signal_is_sent_and_kept_in_the_clear(
    instance: Installed, reviewer: Reviewer, shell: Shell
) -> None:
    request = await waiting(instance, reviewer)

    shell.says(request, commands()[DECIDE][0])
    await reviewer.when(request["id"], "applied")

    history = await (await workflow_of(instance, request)).fetch_history()
    [sent] = [
        event.workflow_execution_signaled_event_attributes
        for event in history.events
        if event.event_type == EventType.EVENT_TYPE_WORKFLOW_EXECUTION_SIGNALED
    ]
    [payload] = sent.input.payloads
    assert payload.metadata["encoding"] == b"json/plain"
    assert payload.data == (
        b'{"reason":"read it","reviewer":"admin","seen_digest":"%s","verdict":"approve"}'
        % request["digest"].encode()
    )
    assert sent.identity.startswith("tctl@")


@pytest.mark.parametrize("what", WRONG)
async def test_a_signal_that_is_wrong_is_refused_on_the_request_and_nothing_is_stuck(
    instance: Installed, reviewer: Reviewer, shell: Shell, what: str
) -> None:
    sent, reason = WRONG[what]
    request = await waiting(instance, reviewer)

    shell.says(request, f'tctl workflow signal -w "$REQUEST" {sent}')

    async def refused() -> bool:
        history = (await reviewer.request(request["id"]))["history"]
        return any(reason in entry["detail"] for entry in history)

    await eventually(refused)
    shell.says(request, commands()[DECIDE][0])
    await reviewer.when(request["id"], "applied")


async def test_what_tctl_itself_refuses_reaches_no_request(
    instance: Installed, reviewer: Reviewer, shell: Shell
) -> None:
    request = await waiting(instance, reviewer)
    unsure = commands()["To take back many"][0].removesuffix(" --yes")

    shell.fails(request, 'tctl workflow signal -w "$REQUEST" -n decide -i approve')
    said = shell.fails(request, f"{unsure} </dev/null")

    assert "Continue? Y/N" in said
    assert await reviewer.request(request["id"]) == request
    shell.says(request, commands()[DECIDE][0])
    applied = await reviewer.when(request["id"], "applied")
    assert not any("refused" in entry["action"] for entry in applied["history"])


async def test_a_vote_that_was_an_update_counts_after_a_reset(
    instance: Installed, reviewer: Reviewer, shell: Shell
) -> None:
    """tctl hands on signals alone; the record has the vote."""
    async with author_on(instance) as author, await session_of(instance, "admin") as colleague:
        draft = await author.draft()
        rule = {"name": "two", "servers": [draft.callable_name.partition("__")[0]], "approvals": 2}
        assert (await changed(reviewer.api, overrides=[rule])).is_success
        request_id = await author.ask(draft)
        assert (await changed(reviewer.api, overrides=[])).is_success
        request = await reviewer.when(request_id, "awaiting_decision")
        voted = await Reviewer(colleague).decide(request)
    assert voted.json()["state"] == "awaiting_decision", voted.text

    shell.says(request, commands()[BEGIN_ANEW][0])
    await waits(instance, request)
    shell.says(request, commands()[DECIDE][0])

    applied = await reviewer.when(request_id, "applied")
    assert [vote["verdict"] for vote in applied["decisions"]] == ["approve", "approve"]


LATE = {
    "tctl": {
        "signal": f'tctl workflow signal -w "$REQUEST" -n decide -i {GOOD}',
        "terminate": 'tctl workflow terminate -w "$REQUEST" --reason late',
        "cancel": 'tctl workflow cancel -w "$REQUEST"',
    },
    "temporal": {
        "signal": f'temporal workflow signal -w "$REQUEST" --name decide --input {GOOD}',
        "update": f'temporal workflow update execute -w "$REQUEST" --name decide --input {GOOD}',
        "terminate": 'temporal workflow terminate -w "$REQUEST" --reason late',
        "cancel": 'temporal workflow cancel -w "$REQUEST"',
    },
}


@pytest.mark.parametrize("command", LATE)
async def test_whatever_is_sent_to_a_request_that_has_ended_changes_nothing(
    instance: Installed, reviewer: Reviewer, shell: Shell, command: str
) -> None:
    """All but a cancellation says so."""
    request = await waiting(instance, reviewer)
    shell.says(request, commands()["To take one back"][0])
    ended = await reviewer.when(request["id"], "withdrawn")
    workflow = await workflow_of(instance, request)

    async def closed() -> bool:
        return (await workflow.describe()).status is WorkflowExecutionStatus.COMPLETED

    await eventually(closed)
    late = dict(LATE[command])

    shell.says(request, late.pop("cancel"))
    for sent in late.values():
        shell.fails(request, sent)

    assert await reviewer.request(request["id"]) == ended


async def workflow_of(instance: Installed, request: dict[str, Any]) -> WorkflowHandle[Any, Any]:
    """As it is kept: without the key of what is encrypted."""
    namespace = instance.settings.temporal_namespace
    client = await Client.connect(instance.temporal_address, namespace=namespace)
    return client.get_workflow_handle(request["workflow_id"])
