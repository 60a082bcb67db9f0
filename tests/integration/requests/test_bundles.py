"""One request for a version and the modules that it imports: granted together, or not at all."""

import pytest

from mcpbox.domain.errors import Conflict, Invalid
from mcpbox.domain.evidence import Check, Risk, Status
from mcpbox.domain.modules import Requirement
from mcpbox.domain.requests import RequestDetail, State
from mcpbox.domain.tools import ToolDetail
from mcpbox.domain.verdicts import Verdict
from tests.integration.requests.conftest import AUTHOR, Office, a_decision
from tests.integration.requests.test_host_grants import callable_now
from tests.integration.requests.test_module_grants import LOUDNESS, SHOUT, granted

BUNDLED = (
    "import shout\n"
    "async def main(text: str = 'hi') -> str:\n"
    "    if not text:\n"
    "        return (await http.get('https://api.example.com/')).text\n"
    "    return shout.shout(text)\n"
)
WANTED = Requirement(module="shout", package="shout")


@pytest.fixture(autouse=True)
def offered(office: Office) -> None:
    office.index.files.clear()
    office.index.known.clear()
    office.index.broken.clear()
    office.index.add("shout", files=SHOUT, requires=["loudness"])
    office.index.add("loudness", files=LOUDNESS)


async def bundle(office: Office, tool: ToolDetail, *wanted: Requirement) -> RequestDetail:
    request = await office.requests.request_publish(AUTHOR, tool.id, requirements=wanted)
    return await office.when(request, State.AWAITING_DECISION, State.VETOED)


async def test_reviewers_see_the_version_its_hosts_and_every_package_at_once(
    office: Office,
) -> None:
    tool = await office.draft(BUNDLED)

    request = await bundle(office, tool, WANTED)

    assert request.state is State.AWAITING_DECISION, request.state_reason
    assert request.digest == tool.current.digest
    assert request.needs.hosts == ("api.example.com",)
    assert request.needs.modules == ("shout",)
    assert request.lock is not None
    assert [wheel.package for wheel in request.lock.wheels] == ["loudness", "shout"]
    found = {piece.check: piece for piece in request.evidence}
    assert found[Check.PACKAGES].status is Status.PASSED
    assert found[Check.GUARD].status is Status.PASSED
    assert found[Check.TRIAL].status is Status.MISSING
    assert request.risk is Risk.HIGH
    assert (await office.servers.modules(tool.server_id)).granted == ()


async def test_approving_grants_all_of_it_together(office: Office) -> None:
    tool = await office.draft(BUNDLED)
    request = await bundle(office, tool, WANTED)

    outcome = await office.decide(request)

    assert outcome.state is State.APPLIED, outcome.state_reason
    now = await callable_now(office, tool)
    assert "shout" in now.granted.modules
    assert now.granted.hosts == {"api.example.com"}
    tried = await office.development.trial(AUTHOR, tool.id, {"text": "ho"})
    assert tried.result == "HO!", tried.error


async def test_a_version_without_the_module_that_it_imports_may_be_asked_for_with_it(
    office: Office,
) -> None:
    tool = await office.draft(BUNDLED)
    alone = await bundle(office, tool)

    request = await bundle(office, tool, WANTED)

    assert (alone.state, request.state) == (State.VETOED, State.AWAITING_DECISION)


async def test_what_was_denied_does_not_come_back_with_a_module(office: Office) -> None:
    tool = await office.draft(BUNDLED)
    request = await bundle(office, tool, WANTED)
    await office.decide(request, draft=a_decision(request, Verdict.DENY, reason="Too loud."))

    with pytest.raises(Conflict, match="Too loud"):
        await bundle(office, tool, Requirement(module="shout", package="shout", specifier="==1.0"))


async def test_a_bundle_whose_packages_cannot_be_had_is_vetoed_whole(office: Office) -> None:
    office.index.files.clear()
    tool = await office.draft(BUNDLED)

    request = await bundle(office, tool, WANTED)

    assert request.state is State.VETOED
    assert "shout" in request.state_reason


async def test_modules_that_changed_meanwhile_stop_the_whole_bundle(office: Office) -> None:
    office.index.add("whisper")
    tool = await office.draft(BUNDLED)
    request = await bundle(office, tool, WANTED)
    await granted(office, tool.server_id, "whisper")

    outcome = await office.decide(request)

    assert outcome.state is State.APPLY_FAILED
    assert "changed meanwhile" in outcome.state_reason
    held = await office.servers.modules(tool.server_id)
    assert [one.module for one in held.granted] == ["whisper"]


async def test_a_refused_host_is_not_granted_and_the_tool_waits_for_it(office: Office) -> None:
    tool = await office.draft(BUNDLED)
    request = await bundle(office, tool, WANTED)
    draft = a_decision(request).model_copy(update={"refused": ("api.example.com",)})

    outcome = await office.decide(request, draft=draft)

    assert outcome.state is State.APPLIED, outcome.state_reason
    now = await callable_now(office, tool)
    assert now.granted.hosts == frozenset()
    assert "shout" in now.granted.modules


async def test_a_refused_module_stops_what_cannot_run_without_it(office: Office) -> None:
    tool = await office.draft(BUNDLED)
    request = await bundle(office, tool, WANTED)
    draft = a_decision(request).model_copy(update={"refused": ("shout",)})

    outcome = await office.decide(request, draft=draft)

    assert outcome.state is State.APPLY_FAILED
    assert (await office.servers.modules(tool.server_id)).granted == ()


async def test_a_module_that_the_code_does_not_import_is_no_part_of_it(office: Office) -> None:
    tool = await office.draft()

    with pytest.raises(Invalid, match="does not import"):
        await bundle(office, tool, WANTED)
