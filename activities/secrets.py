"""Letting a server's tools use a secret: its name and its hosts are all that is seen here."""

from collections.abc import Iterable, Mapping

from sqlalchemy.ext.asyncio import AsyncSession
from temporalio import activity

from activities.applying import apply_once, mark_applied
from activities.errors import final_domain_errors
from activities.grants import end_of
from activities.subjects import secret
from activities.words import counted
from mcpbox.domain.base import utc_now
from mcpbox.domain.digests import digest_of_binding
from mcpbox.domain.errors import Conflict
from mcpbox.domain.evidence import Check, Evidence, Finding, Risk, Status
from mcpbox.domain.ids import Digest
from mcpbox.domain.manifests import Granted, Manifest
from mcpbox.domain.requests import State
from mcpbox.domain.secrets import Secret
from mcpbox.domain.subjects import SecretSubject
from mcpbox.store import evidence, grants, secrets, servers, tools
from mcpbox.store.changes import Topic, announce
from mcpbox.store.session import Sessions, transaction
from mcpbox.store.tables.requests import RequestRow
from workflows.contracts import ApplyRequest, Examination, SecretActivities


class BoundSecrets(SecretActivities):
    def __init__(self, sessions: Sessions) -> None:
        self._sessions = sessions

    @activity.defn
    async def examine_secret(self, given: Examination) -> None:
        with final_domain_errors():
            async with transaction(self._sessions) as session:
                await self._examine(session, given)

    async def examine(self, session: AsyncSession, given: Examination, _: Granted) -> Evidence:
        """What it kept; the server's grants say nothing of a secret."""
        return await self._examine(session, given)

    async def _examine(self, session: AsyncSession, given: Examination) -> Evidence:
        subject = secret(given)
        manifests = await tools.newest_manifests(session, subject.server_id)
        now = await secrets.get_secret(session, subject.server_id, subject.name)
        piece = _evidence(subject, given.digest, now, manifests)
        await evidence.keep(session, given.request_id, piece)
        return piece

    @activity.defn
    async def apply_secret_binding(self, given: ApplyRequest) -> None:
        """Raises: ApplicationError: not retried: it is no longer what was approved."""
        await apply_once(self._sessions, given, self.apply)

    async def apply(
        self, session: AsyncSession, row: RequestRow, given: ApplyRequest, approver: str
    ) -> None:
        subject, now = secret(given), utc_now()
        await servers.lock_server(session, row.server_id)
        await _require_as_approved(session, row, subject, given.digest)
        await grants.grant(
            session,
            subject.server_id,
            grants.SECRET,
            [subject.name],
            request_id=given.request_id,
            granted_by=approver,
            at=now,
            expires_at=end_of(row, subject, now),
        )
        announce(session, Topic.CATALOG, row.server_id)
        await mark_applied(session, row, given, {"hosts": list(subject.hosts)})


async def _require_as_approved(
    session: AsyncSession, row: RequestRow, subject: SecretSubject, digest: Digest
) -> None:
    """Raises: Conflict: approved once, but no longer what people saw; NotFound: it was deleted."""
    if row.state != State.APPROVED:
        raise Conflict(f"The request is {row.state}, not approved; nothing was granted.")
    now = await secrets.get_secret(session, subject.server_id, subject.name)
    asked = digest_of_binding(subject.server_id, now.name, now.hosts, days=subject.days)
    if not asked == row.digest == digest:
        raise Conflict("The secret is not what was approved: its hosts differ; ask again.")


def _evidence(
    subject: SecretSubject, digest: Digest, now: Secret, manifests: Mapping[str, Manifest]
) -> Evidence:
    naming = sorted(name for name, one in manifests.items() if subject.name in one.secret_names)
    return Evidence(
        check=Check.SECRET,
        digest=digest,
        status=Status.WARNING,
        summary=f"Lets tools of {subject.server_name} whose code names {subject.name} send its "
        f"value to {', '.join(subject.hosts)}, and nowhere else.",
        findings=tuple(_findings(subject, naming)),
        facts={
            "Goes to": ", ".join(subject.hosts),
            "Value": "is set" if now.is_set else "is not set yet",
            "Holds": f"for {counted(subject.days, 'day')}"
            if subject.days
            else "until somebody revokes it",
            "Tools that name it": ", ".join(naming) or "none yet",
        },
        checked_at=utc_now(),
    )


def _findings(subject: SecretSubject, naming: list[str]) -> Iterable[Finding]:
    yield Finding(
        level=Risk.HIGH,
        title="Secret",
        text=f"Whoever calls these tools acts at {', '.join(subject.hosts)} with {subject.name}.",
    )
    if not naming:
        yield Finding(
            level=Risk.LOW,
            title="Not used yet",
            text=f"No tool of {subject.server_name} names {subject.name} in its code.",
        )
