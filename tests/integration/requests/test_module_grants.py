"""Asking for a module: what people see of its packages, and what approving really does."""

import pytest
from sqlalchemy import update

from mcpbox.domain.errors import Conflict, Invalid
from mcpbox.domain.evidence import Check, Evidence, Risk, Status
from mcpbox.domain.executions import ExecutionOutcome
from mcpbox.domain.ids import ServerId
from mcpbox.domain.modules import Requirement
from mcpbox.domain.requests import RequestDetail, RequestSummary, State
from mcpbox.domain.verdicts import Verdict
from mcpbox.store.tables.grants import GrantRow
from mcpbox.store.tables.modules import ModuleSetRow, WheelRow
from tests.factories import NOW, OTHER_DIGEST
from tests.integration.requests.conftest import AUTHOR, Office, a_decision

SHOUT = {"shout.py": "import loudness\ndef shout(text): return text.upper() + loudness.MARK\n"}
LOUDNESS = {"loudness.py": "MARK = '!'\n"}
USES_SHOUT = (
    "import shout\nasync def main(text: str = 'hi') -> str:\n    return shout.shout(text)\n"
)


@pytest.fixture(autouse=True)
def offered(office: Office) -> None:
    office.index.files.clear()
    office.index.known.clear()
    office.index.broken.clear()
    office.index.add("shout", files=SHOUT, requires=["loudness"])
    office.index.add("loudness", files=LOUDNESS)


def requirement(module: str = "shout", specifier: str = "") -> Requirement:
    return Requirement(module=module, package=module, specifier=specifier)


async def a_server(office: Office) -> ServerId:
    return (await office.draft()).server_id


async def asked(
    office: Office, server: ServerId, wanted: Requirement | None = None
) -> RequestDetail:
    request = await office.requests.request_module(AUTHOR, server, wanted or requirement())
    return await office.when(request, State.AWAITING_DECISION, State.VETOED)


def found(request: RequestDetail, check: Check) -> Evidence:
    return next(piece for piece in request.evidence if piece.check is check)


async def granted(office: Office, server: ServerId, module: str = "shout") -> RequestSummary:
    request = await asked(office, server, requirement(module))
    assert (await office.decide(request)).state is State.APPLIED
    return request


async def test_reviewers_see_every_package_with_its_hash_before_anything_is_installed(
    office: Office,
) -> None:
    server = await a_server(office)

    request = await asked(office, server)

    assert request.title.startswith("shout for s")
    assert request.lock is not None
    assert [wheel.package for wheel in request.lock.wheels] == ["loudness", "shout"]
    assert request.digest == request.lock.digest
    packages = found(request, Check.PACKAGES)
    assert packages.status is Status.PASSED
    assert request.lock.wheels[0].sha256 in str(packages.facts)
    assert (await office.servers.modules(server)).granted == ()


async def test_an_approved_module_can_be_imported_by_the_server_s_tools(office: Office) -> None:
    server = await a_server(office)
    before = await office.development.validate(USES_SHOUT, server)
    await granted(office, server)

    tool = await office.tools.create(
        AUTHOR, server, name="shouting", code=USES_SHOUT, description="Shouts."
    )
    tried = await office.development.trial(AUTHOR, tool.id, {"text": "ho"})
    request = await office.asked(tool)
    outcome = await office.decide(request)

    assert not before.valid
    assert (await office.development.validate(USES_SHOUT, server)).valid
    assert (tried.outcome, tried.result) == (ExecutionOutcome.OK, "HO!"), tried.error
    assert outcome.state is State.APPLIED
    assert [one.module for one in (await office.servers.modules(server)).granted] == ["shout"]


async def test_a_module_of_one_server_is_none_of_another_s(office: Office) -> None:
    await granted(office, await a_server(office))
    other = await a_server(office)

    tool = await office.tools.create(
        AUTHOR, other, name="shouting", code=USES_SHOUT, description="Shouts."
    )
    tried = await office.development.trial(AUTHOR, tool.id, {})

    assert tried.outcome is ExecutionOutcome.ERROR
    assert "shout" in tried.error


async def test_a_second_module_comes_with_the_first_and_only_the_change_is_new(
    office: Office,
) -> None:
    office.index.add("whisper")
    server = await a_server(office)
    await granted(office, server)

    request = await asked(office, server, requirement("whisper"))
    await office.decide(request)

    assert "whisper 1.0" in found(request, Check.PACKAGES).summary
    assert "shout" not in found(request, Check.PACKAGES).summary
    held = await office.servers.modules(server)
    assert [one.module for one in held.granted] == ["shout", "whisper"]


async def test_a_set_that_people_saw_beside_other_modules_is_not_applied(office: Office) -> None:
    office.index.add("whisper")
    server = await a_server(office)
    request = await asked(office, server, requirement("whisper"))
    await granted(office, server)

    outcome = await office.decide(request)

    assert outcome.state is State.APPLY_FAILED
    assert "changed meanwhile" in outcome.state_reason
    held = await office.servers.modules(server)
    assert [one.module for one in held.granted] == ["shout"]


async def test_a_package_without_a_wheel_is_vetoed_and_may_be_asked_for_again(
    office: Office,
) -> None:
    server = await a_server(office)
    wanted = requirement("nowhere")

    request = await asked(office, server, wanted)
    office.index.add("nowhere")
    again = await asked(office, server, wanted)

    assert request.state is State.VETOED
    assert "nowhere" in request.state_reason
    assert again.id != request.id
    assert again.state is State.AWAITING_DECISION


async def test_a_module_that_its_package_does_not_offer_is_vetoed(office: Office) -> None:
    server = await a_server(office)
    wanted = Requirement(module="scream", package="shout")

    request = await asked(office, server, wanted)

    assert request.state is State.VETOED
    assert "offers shout" in request.state_reason


async def test_a_denial_stays(office: Office) -> None:
    server = await a_server(office)
    request = await asked(office, server)
    await office.decide(request, draft=a_decision(request, Verdict.DENY, reason="Too loud."))

    with pytest.raises(Conflict, match="Too loud"):
        await office.requests.request_module(AUTHOR, server, requirement())


async def test_asking_twice_is_asking_once_and_another_version_supersedes(office: Office) -> None:
    server = await a_server(office)
    first = await asked(office, server)

    same = await office.requests.request_module(AUTHOR, server, requirement())
    other = await asked(office, server, requirement(specifier="<2"))

    assert same.id == first.id
    assert other.id != first.id
    assert (await office.when(first, State.SUPERSEDED)).state is State.SUPERSEDED


async def test_default_and_granted_modules_need_no_request_and_python_s_own_cannot_be_asked_for(
    office: Office,
) -> None:
    server = await a_server(office)
    await granted(office, server)

    with pytest.raises(Conflict, match="no grant is needed"):
        await office.requests.request_module(AUTHOR, server, requirement("json"))
    with pytest.raises(Conflict, match="already"):
        await office.requests.request_module(AUTHOR, server, requirement())
    with pytest.raises(Invalid, match="no grant opens it"):
        await office.requests.request_module(AUTHOR, server, requirement("os"))


async def test_known_vulnerabilities_are_shown_and_make_the_request_risky(office: Office) -> None:
    office.index.known[("loudness", "1.0")] = ["GHSA-1"]
    office.index.vulnerabilities["GHSA-1"] = {
        "id": "GHSA-1",
        "summary": "Deafens.",
        "database_specific": {"severity": "HIGH"},
    }

    request = await asked(office, await a_server(office))

    vulnerabilities = found(request, Check.VULNERABILITIES)
    assert vulnerabilities.status is Status.FAILED
    assert "GHSA-1 in loudness 1.0" in vulnerabilities.findings[0].title
    assert request.risk is Risk.HIGH
    assert request.state is State.AWAITING_DECISION


async def test_what_could_not_be_asked_reads_as_not_checked_never_as_clean(
    office: Office,
) -> None:
    office.index.broken["/v1/"] = 503
    office.index.broken["/pypi/"] = 503

    request = await asked(office, await a_server(office))

    for check in (Check.VULNERABILITIES, Check.PACKAGE_FACTS):
        assert found(request, check).status is Status.MISSING
        assert found(request, check).summary.startswith("Not checked")
    assert request.risk is Risk.HIGH


async def test_other_bytes_than_those_approved_are_never_installed(office: Office) -> None:
    office.index.add("murmur")  # no other test's, or the sandbox would have it already
    server = await a_server(office)
    request = await asked(office, server, requirement("murmur"))
    assert request.lock is not None
    async with office.database.sessions.begin() as session:
        await session.execute(
            update(WheelRow)
            .where(WheelRow.sha256 == request.lock.wheels[0].sha256)
            .values(content=b"something else")
        )

    outcome = await office.decide(request)

    assert outcome.state is State.APPLY_FAILED
    assert (await office.servers.modules(server)).granted == ()


async def test_a_lock_that_was_changed_after_the_approval_is_not_applied(office: Office) -> None:
    server = await a_server(office)
    request = await asked(office, server)
    assert request.lock is not None
    edited = request.lock.model_dump(mode="json")
    edited["wheels"][0]["sha256"] = OTHER_DIGEST.removeprefix("sha256:")
    async with office.database.sessions.begin() as session:
        await session.execute(
            update(ModuleSetRow)
            .where(ModuleSetRow.digest == request.lock.digest)
            .values(lock=edited)
        )

    outcome = await office.decide(request)

    assert outcome.state is State.APPLY_FAILED
    assert "not those that were approved" in outcome.state_reason
    async with office.database.sessions.begin() as session:
        await session.execute(
            update(ModuleSetRow)
            .where(ModuleSetRow.digest == request.lock.digest)
            .values(lock=request.lock.model_dump(mode="json"))
        )


async def test_a_tool_whose_module_is_no_longer_granted_cannot_be_published(
    office: Office,
) -> None:
    server = await a_server(office)
    await granted(office, server)
    tool = await office.tools.create(
        AUTHOR, server, name="shouting", code=USES_SHOUT, description="Shouts."
    )
    request = await office.asked(tool)
    async with office.database.sessions.begin() as session:
        await session.execute(
            update(GrantRow).where(GrantRow.server_id == server).values(revoked_at=NOW)
        )

    outcome = await office.decide(request)

    assert outcome.state is State.APPLY_FAILED
    assert "modules" in outcome.state_reason
