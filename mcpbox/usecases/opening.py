"""A request is begun: safe with Temporal first, and then written down by the worker."""

import anyio

from mcpbox import temporal
from mcpbox.domain.base import utc_now
from mcpbox.domain.ids import RequestId
from mcpbox.domain.requests import RequestDraft, RequestSummary, State
from mcpbox.domain.subjects import (
    GrantSubject,
    HostSubject,
    ModuleSubject,
    SecretSubject,
    VersionSubject,
)
from mcpbox.news import Ear, RequestNews
from mcpbox.store import requests
from mcpbox.store.session import Sessions, reading
from mcpbox.temporal import TemporalGate

_PAUSES_S = (0.1, 0.2, 0.4, 0.8, 1.5)
"""Between looks for what the worker writes down, where no news comes: 3 seconds in all."""
_PATIENCE_S = (1.0, 2.0)
"""For the news of it, before it is looked for all the same: as long in all."""


class Opening:
    def __init__(self, sessions: Sessions, gate: TemporalGate, news: RequestNews | None) -> None:
        """``news``: ``None`` where the process hears of none."""
        self._sessions = sessions
        self._gate = gate
        self._news = news or RequestNews()
        self._pauses_s = _PATIENCE_S if news else _PAUSES_S

    async def open(
        self, draft: RequestDraft, workflow_id: str, *, known: bool
    ) -> tuple[bool, RequestSummary | None]:
        """Whether its workflow lives, and the request as the worker wrote it down.

        It is durable without the latter, which lets the asker read at once what they wrote, if it
        comes soon. ``known``: it is on record, so nobody waits for that. Asking again for what has
        ended starts nothing. Raises: Unavailable.
        """
        with self._news.of(draft.id) as ear:
            alive = await self._start(draft, workflow_id)
            if alive and not known:
                return alive, await self._written_down(draft.id, ear)
        return alive, await self._find(draft.id)

    async def _start(self, draft: RequestDraft, workflow_id: str) -> bool:
        return await self._gate.start(
            temporal.CHANGE_REQUEST,
            draft,
            workflow_id=workflow_id,
            summary=draft.subject.label,
            search_attributes=temporal.request_attributes(draft),
        )

    async def _written_down(self, request_id: RequestId, ear: Ear) -> RequestSummary | None:
        for pause in self._pauses_s:
            with anyio.move_on_after(pause):
                await ear.next()
            found = await self._find(request_id)
            if found is not None:
                return found
        return None

    async def _find(self, request_id: RequestId) -> RequestSummary | None:
        async with reading(self._sessions) as session:
            return await requests.find_request(session, request_id)


def not_projected_yet(
    draft: RequestDraft, workflow_id: str, released_number: int | None
) -> RequestSummary:
    """Asked for and safe with Temporal; the worker has not written it down yet."""
    subject, now = draft.subject, utc_now()
    publication = subject if isinstance(subject, VersionSubject) else None
    return RequestSummary(
        id=draft.id,
        workflow_id=workflow_id,
        kind=subject.kind,
        state=State.GATHERING,
        state_reason="The worker has not taken it up yet; it will.",
        title=subject.title,
        server_id=subject.server_id,
        server_name=subject.server_name,
        tool_id=publication.tool_id if publication else None,
        tool_name=publication.tool_name if publication else None,
        version_id=publication.version_id if publication else None,
        version_number=publication.version_number if publication else None,
        released_number=released_number,
        requirement=subject.requirement if isinstance(subject, ModuleSubject) else None,
        access=subject.access if isinstance(subject, HostSubject) else None,
        secret_name=subject.name if isinstance(subject, SecretSubject) else None,
        secret_hosts=subject.hosts if isinstance(subject, SecretSubject) else (),
        days=subject.days if isinstance(subject, GrantSubject) else None,
        digest=draft.digest,
        requester=draft.requester,
        notes=draft.notes,
        quorum=draft.quorum,
        risk=None,
        created_at=now,
        updated_at=now,
        expires_at=now + draft.ttl,
    )
