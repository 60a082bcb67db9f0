"""Workers of a test's own: sent away, called back, and cut off at any point."""

from collections.abc import Callable, Iterable
from typing import Any
from uuid import uuid4

import pytest
from temporalio import activity
from temporalio.client import Client
from temporalio.client import Interceptor as ClientInterceptor
from temporalio.exceptions import ApplicationError
from temporalio.testing import ActivityEnvironment
from temporalio.worker import (
    ActivityInboundInterceptor,
    ExecuteActivityInput,
    Interceptor,
    Worker,
)

from activities.decisions import StoredDecisions
from activities.worker import activities_on, build_worker
from mcpbox.domain.base import utc_now
from mcpbox.domain.decisions import Channel
from mcpbox.domain.requests import RequestSummary
from mcpbox.domain.verdicts import Verdict
from mcpbox.sandbox_client import SandboxClient
from mcpbox.store.requests import subject_in
from mcpbox.store.session import Sessions
from mcpbox.store.tables.requests import RequestRow
from tests.integration.requests.conftest import ADA, VOUCHERS, Office, a_decision
from tests.receipts import SIGNER
from workflows.contracts import Examination, RecordDecision


def own_queue(monkeypatch: pytest.MonkeyPatch) -> str:
    """Where requests go from now on; only a shift that a test begins works on it."""
    queue = f"q-{uuid4().hex[:8]}"
    monkeypatch.setattr("mcpbox.temporal.TASK_QUEUE", queue)
    return queue


def shift(
    office: Office,
    queue: str,
    *,
    sandbox: SandboxClient | None = None,
    sessions: Sessions | None = None,
    interceptors: Iterable[Any] = (),
) -> Worker:
    """Work on the queue begins when it is entered, and ends when it is left."""
    config = office.env.client.config()
    config["interceptors"] = [*config["interceptors"], *interceptors]
    activities = activities_on(
        sessions or office.database.sessions,
        sandbox or office.sandbox,
        SIGNER,
        office.sources,
        VOUCHERS,
    )
    return build_worker(Client(**config), activities, task_queue=queue)


class Forgetful(Worker):
    """Keeps no workflow in memory: every task begins as after a crash, with the history alone."""

    def __init__(self, client: Client, **options: Any) -> None:
        super().__init__(client, **options, max_cached_workflows=0)


class Clumsy(ClientInterceptor, Interceptor):
    """Loses the first answer of activities after their transactions, as a crash between does.

    Temporal learns of a crash by a timeout, and of this at once; what follows is the same.
    """

    def __init__(self, loses: Callable[[str], bool] = lambda name: True) -> None:
        """``loses``: by the name of the activity."""
        self._loses = loses
        self.lost: list[str] = []

    def intercept_activity(self, next: ActivityInboundInterceptor) -> ActivityInboundInterceptor:  # noqa: A002 - the SDK's name
        return _Losing(next, self)

    def lose(self) -> None:
        """Raises: ApplicationError: in the name of the crash."""
        name = activity.info().activity_type
        if activity.info().attempt == 1 and self._loses(name):
            self.lost.append(name)
            raise ApplicationError("The worker died before it could tell.", type="Crash")


class _Losing(ActivityInboundInterceptor):
    def __init__(self, next: ActivityInboundInterceptor, clumsy: Clumsy) -> None:  # noqa: A002
        super().__init__(next)
        self._clumsy = clumsy

    async def execute_activity(self, input: ExecuteActivityInput) -> Any:  # noqa: A002
        answer = await super().execute_activity(input)
        self._clumsy.lose()
        return answer


async def recorded_unheard(office: Office, request: RequestSummary, verdict: Verdict) -> None:
    """A decision, by a worker that died with the server before either could tell the workflow."""
    async with office.database.sessions.begin() as session:
        subject = subject_in(await session.get_one(RequestRow, request.id))
    given = RecordDecision(
        request_id=request.id,
        draft=a_decision(request, verdict),
        reviewer=ADA.name,
        channel=Channel.TEMPORAL,
        decided_at=utc_now(),
        applying=Examination(request_id=request.id, subject=subject, digest=request.digest),
    )
    activities = activities_on(
        office.database.sessions, office.sandbox, SIGNER, office.sources, VOUCHERS
    )
    decisions = next(one for one in activities if isinstance(one, StoredDecisions))
    await ActivityEnvironment(office.env.client).run(decisions.record_decision, given)
