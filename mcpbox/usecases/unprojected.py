"""A request that is safe with Temporal before the worker has written it down."""

from mcpbox.domain.base import utc_now
from mcpbox.domain.requests import RequestDraft, RequestSummary, State
from mcpbox.domain.subjects import (
    GrantSubject,
    HostSubject,
    ModuleSubject,
    SecretSubject,
    VersionSubject,
)


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
