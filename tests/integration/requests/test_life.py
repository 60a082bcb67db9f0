"""What happens to a request besides being decided: it is opened, examined, ended, applied."""

from dataclasses import replace
from datetime import timedelta
from uuid import uuid4

import pytest
from pydantic import SecretStr
from sqlalchemy import func, select, update
from temporalio.api.sdk.v1 import WorkflowMetadata
from temporalio.client import WorkflowHandle

from activities.publish import ReleasedVersions
from activities.worker import activities_on, build_worker
from mcpbox.domain.errors import Conflict, NotFound, Refused
from mcpbox.domain.evidence import Check, Risk, Status
from mcpbox.domain.people import Principal, PrincipalKind
from mcpbox.domain.requests import State
from mcpbox.domain.subjects import Kind
from mcpbox.domain.tools import ToolDetail
from mcpbox.sandbox_client import SandboxClient
from mcpbox.store import requests
from mcpbox.store.grants import granted
from mcpbox.store.tables.grants import GrantRow
from mcpbox.store.tables.releases import ReleaseRow
from mcpbox.store.tables.tools import VersionRow
from mcpbox.temporal import RISK, STATE
from tests.integration.requests.conftest import AUTHOR, VOUCHERS, Office
from tests.receipts import SIGNER
from tests.reviewing import eventually
from workflows.contracts import ApplyRequest
from workflows.kinds import STRATEGIES

REACHES_OUT = """async def main() -> str:
    return (await http.get("https://api.example.com/rates")).text
"""
OTHER_PERSON = Principal(kind=PrincipalKind.CLIENT, name="somebody-else")


async def test_asking_twice_is_asking_once(office: Office) -> None:
    tool = await office.draft()

    first = await office.asked(tool)
    second = await office.requests.request_publish(AUTHOR, tool.id)

    assert second.id == first.id


async def test_evidence_comes_before_eyes(office: Office) -> None:
    request = await office.requests.get(
        (await office.asked(await office.draft(), sample_arguments={"a": 7})).id
    )

    assert {piece.check: piece.status for piece in request.evidence} == {
        Check.MANIFEST: Status.PASSED,
        Check.STATIC: Status.PASSED,
        Check.CLAIMS: Status.PASSED,
        Check.EGRESS: Status.PASSED,
        Check.COMPOSITION: Status.PASSED,
        Check.GUARD: Status.PASSED,
        Check.TRIAL: Status.PASSED,
        Check.SCHEMA_DIFF: Status.SKIPPED,
        Check.CODE_DIFF: Status.SKIPPED,
    }
    assert {piece.digest for piece in request.evidence} == {request.digest}
    trial = next(piece for piece in request.evidence if piece.check is Check.TRIAL)
    assert trial.facts["Result"] == "7"
    assert request.risk is Risk.LOW


async def test_a_new_version_is_compared_with_the_released_one(office: Office) -> None:
    tool = await released(office, "async def main(a: int) -> int:\n    return a\n")
    newer = await office.tools.update(
        AUTHOR, tool.id, code="async def main(b: int) -> int:\n    return -b\n"
    )

    request = await office.requests.get((await office.asked(newer)).id)

    found = {piece.check: piece for piece in request.evidence}
    assert found[Check.SCHEMA_DIFF].status is Status.WARNING
    assert [finding.title for finding in found[Check.SCHEMA_DIFF].findings] == ["Renamed"]
    assert found[Check.CODE_DIFF].facts == {"Lines added": "2", "Lines removed": "2"}
    assert request.released is not None
    assert request.released.number == 1


async def test_code_that_the_sandbox_would_refuse_is_vetoed_and_the_author_told(
    office: Office,
) -> None:
    tool = await office.draft("import os\nasync def main() -> str:\n    return os.getcwd()\n")

    asked = await office.requests.request_publish(AUTHOR, tool.id)
    vetoed = await office.when(asked, State.VETOED)

    assert "os" in vetoed.state_reason
    with pytest.raises(Conflict, match="vetoed by a check"):
        await office.requests.request_publish(AUTHOR, tool.id)


async def test_a_host_is_reached_only_after_people_granted_it(office: Office) -> None:
    tool = await office.draft(REACHES_OUT)
    request = await office.requests.get((await office.asked(tool)).id)
    assert request.needs.hosts == ("api.example.com",)
    assert request.risk is Risk.HIGH
    trial = next(piece for piece in request.evidence if piece.check is Check.TRIAL)
    assert trial.status is Status.WARNING
    assert any("api.example.com" in finding.text for finding in trial.findings)

    await office.decide(request)

    async with office.database.sessions.begin() as session:
        assert (await granted(session, tool.server_id)).hosts == {"api.example.com"}


async def test_a_request_that_nobody_decides_expires(office: Office) -> None:
    request = await office.asked()

    await office.env.fast_forward(office.workflow(request), timedelta(days=8))

    expired = await office.when(request, State.EXPIRED)
    assert expired.state_reason == "Nobody decided in time."
    assert request.tool_id is not None
    again = await office.requests.request_publish(AUTHOR, request.tool_id)
    assert again.id != request.id


async def test_the_requester_takes_a_request_back_and_nobody_else(office: Office) -> None:
    request = await office.asked()
    with pytest.raises(Refused):
        await office.requests.withdraw(OTHER_PERSON, request.id)

    outcome = await office.requests.withdraw(AUTHOR, request.id, "Found a mistake.")

    assert (outcome.state, outcome.state_reason) == (State.WITHDRAWN, "Found a mistake.")


async def test_cancelling_the_workflow_withdraws_the_request(office: Office) -> None:
    request = await office.asked()

    await office.workflow(request).cancel()

    withdrawn = await office.when(request, State.WITHDRAWN)
    assert "operator" in withdrawn.state_reason


async def test_a_request_terminated_in_temporal_is_brought_back_by_asking_again(
    office: Office,
) -> None:
    """Termination runs no code, so its row is closed by the request that takes its place."""
    tool = await office.draft()
    request = await office.asked(tool)
    await office.workflow(request).terminate()
    with pytest.raises(Conflict, match="by asking again"):
        await office.decide(request)

    again = await office.asked(tool)

    assert again.id != request.id
    await office.when(request, State.SUPERSEDED)
    assert (await office.decide(again)).state is State.APPLIED


async def test_deleting_a_tool_withdraws_its_request(office: Office) -> None:
    tool = await office.draft()
    request = await office.asked(tool)

    await office.tools.delete(AUTHOR, tool.id)

    await office.when(request, State.WITHDRAWN)
    with pytest.raises(NotFound):
        await office.tools.get(tool.id)


async def test_i5_what_changed_after_the_decision_is_never_released(office: Office) -> None:
    """The stored version is tampered with between the approval and its effect."""
    tool = await office.draft()
    request = await office.asked(tool)
    async with office.database.sessions.begin() as session:
        await session.execute(
            update(VersionRow)
            .where(VersionRow.id == tool.current.id)
            .values(code="async def main(a: int = 1) -> int:\n    return 666\n")
        )

    outcome = await office.decide(request)

    assert outcome.state is State.APPLY_FAILED
    assert "digest differs" in outcome.state_reason
    assert await releases(office, tool) == 0


async def test_i5_a_grant_that_was_revoked_after_the_decision_stops_the_release(
    office: Office,
) -> None:
    tool = await released(office, REACHES_OUT)
    newer = await office.tools.update(AUTHOR, tool.id, code=REACHES_OUT + "\n")
    request = await office.asked(newer)
    async with office.database.sessions.begin() as session:
        await session.execute(
            update(GrantRow)
            .where(GrantRow.server_id == tool.server_id)
            .values(revoked_at=func.now())
        )

    outcome = await office.decide(request)

    assert outcome.state is State.APPLY_FAILED
    assert "no longer are" in outcome.state_reason


async def test_a_name_that_another_tool_is_released_under_is_not_released_twice(
    office: Office,
) -> None:
    first = await released(office, "async def main() -> int:\n    return 1\n")
    await office.tools.update(AUTHOR, first.id, name="renamed")
    second = await office.tools.create(
        AUTHOR,
        first.server_id,
        name="count",
        code="async def main() -> int:\n    return 2\n",
        description="",
    )

    outcome = await office.decide(await office.asked(second))

    assert outcome.state is State.APPLY_FAILED
    assert "'count'" in outcome.state_reason


async def test_releasing_a_newer_version_ends_the_older_release(office: Office) -> None:
    tool = await released(office, "async def main() -> int:\n    return 1\n")
    newer = await office.tools.update(
        AUTHOR, tool.id, code="async def main() -> int:\n    return 2\n"
    )
    await office.decide(await office.asked(newer))

    assert (await office.tools.get(tool.id)).released_version == 2
    assert await releases(office, tool) == 1


async def test_applying_twice_releases_once(office: Office) -> None:
    """A worker that died after the commit does it again."""
    request = await office.asked()
    await office.decide(request)
    async with office.database.sessions.begin() as session:
        row = await requests.get_request_row(session, request.id)
        given = ApplyRequest(
            request_id=request.id, subject=requests.subject_in(row), digest=request.digest
        )

    releasing = ReleasedVersions(office.database.sessions, SIGNER, office.sandbox)
    await releasing.apply_publish(given)

    async with office.database.sessions.begin() as session:
        count = await session.scalar(
            select(func.count()).select_from(ReleaseRow).where(ReleaseRow.request_id == request.id)
        )
    assert count == 1


async def test_the_web_ui_can_find_a_request_and_read_how_to_decide_it(office: Office) -> None:
    request = await office.asked()
    workflow = office.workflow(request)

    async def waiting() -> bool:
        found = (await workflow.describe()).typed_search_attributes
        return (found[STATE], found.get(RISK)) == (State.AWAITING_DECISION, Risk.LOW)

    await eventually(waiting)
    details = await details_of(workflow)

    assert request.digest in details
    assert "temporal workflow signal" in details
    assert "return a" not in details


async def test_a_check_that_cannot_run_is_shown_as_missing_and_never_as_clean(
    office: Office, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No sandbox answers, for as long as the workflow is patient."""

    impatient = replace(STRATEGIES[Kind.PUBLISH], check_patience=timedelta(seconds=1))
    monkeypatch.setitem(STRATEGIES, Kind.PUBLISH, impatient)
    nowhere = SandboxClient(
        url="http://sandbox", api_key=SecretStr("k" * 32), socket="/nowhere/sandbox.sock"
    )
    queue = f"q-{uuid4().hex[:8]}"
    monkeypatch.setattr("mcpbox.temporal.TASK_QUEUE", queue)
    activities = activities_on(office.database.sessions, nowhere, SIGNER, office.sources, VOUCHERS)
    async with build_worker(office.env.client, activities, task_queue=queue):
        request = await office.requests.get((await office.asked()).id)
    await nowhere.aclose()

    found = {piece.check: piece.status for piece in request.evidence}
    assert (found[Check.GUARD], found[Check.TRIAL]) == (Status.MISSING, Status.MISSING)
    assert request.risk is Risk.HIGH


async def released(office: Office, code: str) -> ToolDetail:
    tool = await office.draft(code)
    outcome = await office.decide(await office.asked(tool))
    assert outcome.state is State.APPLIED
    return await office.tools.get(tool.id)


async def releases(office: Office, tool: ToolDetail) -> int:
    """How many of the tool are active."""
    async with office.database.sessions.begin() as session:
        return (
            await session.scalar(
                select(func.count())
                .select_from(ReleaseRow)
                .where(ReleaseRow.tool_id == tool.id, ReleaseRow.active_to.is_(None))
            )
            or 0
        )


async def details_of(workflow: WorkflowHandle[object, object]) -> str:
    metadata = await workflow.query("__temporal_workflow_metadata", result_type=WorkflowMetadata)
    return metadata.current_details
