"""Going back to a released version, and bringing back what a person revoked."""

import pytest
from sqlalchemy import update

from mcpbox.domain.base import utc_now
from mcpbox.domain.errors import Conflict, Invalid, NotFound
from mcpbox.domain.evidence import Check, Risk
from mcpbox.domain.manifests import Manifest
from mcpbox.domain.requests import RequestDetail, State
from mcpbox.domain.tools import ToolDetail
from mcpbox.domain.verdicts import Verdict
from mcpbox.receipts import unverified
from mcpbox.store.tables.grants import GrantRow
from mcpbox.store.tables.releases import ReleaseRow
from mcpbox.store.tables.tools import VersionRow
from tests.integration.requests.conftest import AUTHOR, Office, a_decision
from tests.integration.requests.test_host_grants import REACHES_OUT, callable_now

WORSE = "async def main(a: int = 1) -> int:\n    return -a\n"
BETTER = "async def main(a: int = 1) -> int:\n    return a + 1\n"


async def released_twice(office: Office, first: str | None = None) -> ToolDetail:
    tool = await (office.draft(first) if first else office.draft())
    await office.decide(await office.asked(tool))
    newer = await office.tools.update(AUTHOR, tool.id, code=WORSE)
    await office.decide(await office.asked(newer))
    return await office.tools.get(tool.id)


async def rollback(office: Office, tool: ToolDetail, number: int = 1) -> RequestDetail:
    request = await office.releases.request_rollback(
        AUTHOR, tool.id, number, reason="It counts backwards."
    )
    return await office.when(request, State.AWAITING_DECISION)


async def restore(office: Office, tool: ToolDetail) -> RequestDetail:
    request = await office.releases.request_restore(AUTHOR, tool.id, reason="The leak is mended.")
    return await office.when(request, State.AWAITING_DECISION)


async def revoked(office: Office, tool: ToolDetail) -> None:
    """As a person's switch does it."""
    now = utc_now()
    async with office.database.sessions.begin() as session:
        await session.execute(
            update(ReleaseRow)
            .where(ReleaseRow.tool_id == tool.id, ReleaseRow.active_to.is_(None))
            .values(
                active_to=now, revoked_at=now, revoked_by="person:otto", revoke_reason="It leaks."
            )
        )


async def test_an_approved_rollback_releases_exactly_that_digest_with_a_receipt_of_its_own(
    office: Office,
) -> None:
    tool = await released_twice(office)
    first = (await office.releases.versions(tool.id))[-1]

    request = await rollback(office, tool)
    outcome = await office.decide(request)

    assert outcome.state is State.APPLIED
    assert (request.digest, request.released_number) == (first.version.digest, 2)
    titles = {finding.title for piece in request.evidence for finding in piece.findings}
    assert "Older version" in titles
    assert Check.TRIAL in {piece.check for piece in request.evidence}
    now = await callable_now(office, tool)
    assert now.version.digest == now.approved_digest == first.version.digest
    receipt = unverified(now.receipt or "")
    assert (receipt.digest, receipt.request) == (first.version.digest, str(request.id))
    newest, oldest = await office.releases.versions(tool.id)
    assert (len(oldest.releases), oldest.active, newest.active) == (2, True, False)


async def test_after_a_rollback_the_newer_version_may_be_asked_for_again(office: Office) -> None:
    tool = await released_twice(office)
    await office.decide(await rollback(office, tool))

    again = await office.asked(await office.tools.get(tool.id))

    assert (await office.decide(again)).state is State.APPLIED
    assert (await callable_now(office, tool)).version.number == 2


async def test_there_is_no_way_back_to_what_never_was_or_is_now(office: Office) -> None:
    tool = await released_twice(office)
    await office.tools.update(AUTHOR, tool.id, code=BETTER)

    for number, error in ((1000, NotFound), (3, Conflict), (2, Conflict)):
        with pytest.raises(error):
            await rollback(office, tool, number)
    with pytest.raises(Invalid):
        await office.releases.request_rollback(AUTHOR, tool.id, 1, reason=" ")


async def test_a_denied_rollback_stays_denied_while_the_same_version_runs(office: Office) -> None:
    tool = await released_twice(office)
    request = await rollback(office, tool)
    await office.decide(request, draft=a_decision(request, Verdict.DENY, reason="Version 1 leaks."))

    with pytest.raises(Conflict, match="Version 1 leaks"):
        await rollback(office, tool)

    third = await office.tools.update(AUTHOR, tool.id, code=BETTER)
    await office.decide(await office.asked(third))
    assert (await rollback(office, tool)).id != request.id


async def test_a_rollback_waits_beside_a_publication_and_neither_ends_the_other(
    office: Office,
) -> None:
    tool = await released_twice(office)
    back = await rollback(office, tool)
    third = await office.tools.update(AUTHOR, tool.id, code=BETTER)

    await office.asked(third)

    assert (await office.requests.get(back.id)).state is State.AWAITING_DECISION


async def test_a_rollback_asks_again_for_hosts_that_are_granted_no_more(office: Office) -> None:
    tool = await released_twice(office, REACHES_OUT)
    await end_grants(office, tool)

    request = await rollback(office, tool)

    assert request.needs.hosts == ("api.example.com",)
    assert request.risk is Risk.HIGH
    await office.decide(request)
    assert (await callable_now(office, tool)).granted.hosts == {"api.example.com"}


async def test_a_host_that_is_revoked_after_people_looked_stops_a_rollback(
    office: Office,
) -> None:
    """I5: grants are looked at again in the transaction that releases."""
    tool = await released_twice(office, REACHES_OUT)
    request = await rollback(office, tool)
    await end_grants(office, tool)

    outcome = await office.decide(request)

    assert outcome.state is State.APPLY_FAILED
    assert (await callable_now(office, tool)).version.number == 2


async def test_a_version_that_was_changed_in_the_database_is_not_released_again(
    office: Office,
) -> None:
    tool = await released_twice(office)
    request = await rollback(office, tool)
    async with office.database.sessions.begin() as session:
        await session.execute(
            update(VersionRow)
            .where(VersionRow.id == request.version_id)
            .values(manifest=Manifest(hosts=("evil.example",)).model_dump(mode="json"))
        )

    outcome = await office.decide(request)

    assert outcome.state is State.APPLY_FAILED
    assert "its digest differs" in outcome.state_reason


async def test_what_a_person_revoked_comes_back_through_a_request_to_restore_it_alone(
    office: Office,
) -> None:
    tool = await released_twice(office)
    await revoked(office, tool)
    with pytest.raises(Conflict, match="mcpbox_restore_tool"):
        await office.requests.request_publish(AUTHOR, tool.id)

    request = await restore(office, tool)

    piece = next(piece for piece in request.evidence if piece.check is Check.RELEASES)
    [finding] = piece.findings
    assert (finding.level, finding.title) == (Risk.HIGH, "Revoked")
    assert "person:otto" in finding.text
    assert "It leaks." in finding.text
    assert (await office.decide(request)).state is State.APPLIED
    assert (await callable_now(office, tool)).version.number == 2


async def test_a_revoked_version_is_no_way_back(office: Office) -> None:
    tool = await released_twice(office)
    await revoked(office, tool)
    third = await office.tools.update(AUTHOR, tool.id, code=BETTER)
    await office.decide(await office.asked(third))

    with pytest.raises(Conflict, match="It leaks"):
        await rollback(office, tool, 2)


async def test_a_restore_is_not_applied_over_what_was_released_meanwhile(office: Office) -> None:
    tool = await released_twice(office)
    await revoked(office, tool)
    request = await restore(office, tool)
    third = await office.tools.update(AUTHOR, tool.id, code=BETTER)
    await office.decide(await office.asked(third))

    outcome = await office.decide(request)

    assert outcome.state is State.APPLY_FAILED
    assert "was released meanwhile" in outcome.state_reason
    assert (await callable_now(office, tool)).version.number == 3


async def test_nothing_is_restored_that_nobody_revoked(office: Office) -> None:
    tool = await released_twice(office)

    with pytest.raises(Conflict, match="not revoked"):
        await restore(office, tool)


async def end_grants(office: Office, tool: ToolDetail) -> None:
    async with office.database.sessions.begin() as session:
        await session.execute(
            update(GrantRow)
            .where(GrantRow.server_id == tool.server_id)
            .values(revoked_at=utc_now())
        )
