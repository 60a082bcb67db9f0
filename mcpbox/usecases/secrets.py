"""Secrets of servers: make a placeholder, ask that it may be used, set its value, delete it."""

from collections.abc import Sequence
from uuid import uuid4

from pydantic import SecretStr
from sqlalchemy import update
from sqlalchemy.exc import IntegrityError

from mcpbox.domain.audit import Action
from mcpbox.domain.base import utc_now
from mcpbox.domain.digests import digest_of_binding
from mcpbox.domain.errors import Conflict, Invalid, NameTaken
from mcpbox.domain.ids import ServerId
from mcpbox.domain.people import Principal
from mcpbox.domain.requests import RequestSummary, workflow_ids_begin
from mcpbox.domain.secrets import VALUE_MAX_LENGTH, Secret, checked_hosts
from mcpbox.domain.subjects import SecretSubject
from mcpbox.policies.secrets import may_keep_secrets
from mcpbox.store import asked_before, secrets, servers
from mcpbox.store.audit import add_event
from mcpbox.store.changes import Topic, announce
from mcpbox.store.grants import SECRET, require_holder
from mcpbox.store.session import Sessions, reading, transaction
from mcpbox.store.tables.grants import GrantRow
from mcpbox.store.tables.secrets import SecretRow
from mcpbox.usecases.attempts import require_not_denied
from mcpbox.usecases.requests import Requests
from mcpbox.vault import Vault


class Secrets:
    def __init__(self, sessions: Sessions, requests: Requests, vault: Vault | None = None) -> None:
        """``vault``: only where values are set."""
        self._sessions = sessions
        self._requests = requests
        self._vault = vault

    async def list(self, server_id: ServerId) -> list[Secret]:
        """By name, without their values. Raises: NotFound."""
        async with reading(self._sessions) as session:
            await servers.require_server(session, server_id)
            return await secrets.secrets_of(session, server_id)

    async def create(
        self, by: Principal, server_id: ServerId, name: str, hosts: Sequence[str]
    ) -> Secret:
        """A placeholder: it holds nothing until a person sets its value.

        Raises: Invalid; NotFound; NameTaken.
        """
        subject_name = SecretSubject.model_validate(
            {"server_id": server_id, "server_name": "", "name": name, "hosts": ()}
        ).name
        bound_to = checked_hosts(hosts)
        row = SecretRow(
            id=uuid4(),
            server_id=server_id,
            name=subject_name,
            hosts=list(bound_to),
            created_by=by.label,
            created_at=utc_now(),
        )
        try:
            async with transaction(self._sessions) as session:
                await servers.require_server(session, server_id)
                session.add(row)
                await session.flush()
                add_event(
                    session,
                    actor=by.label,
                    action=Action.SECRET_CREATED,
                    subject=f"server:{server_id}",
                    detail=name,
                    facts={"hosts": list(bound_to)},
                )
                return await secrets.get_secret(session, server_id, name)
        except IntegrityError as error:
            raise NameTaken("secret", name) from error

    async def request(
        self,
        by: Principal,
        server_id: ServerId,
        name: str,
        *,
        days: int | None = None,
        justification: str,
    ) -> RequestSummary:
        """Ask that the server's tools may use a secret; asking twice is asking once.

        Raises: NotFound: make the placeholder first; Conflict: granted or denied already; Invalid;
        Unavailable.
        """
        if not justification.strip():
            raise Invalid("Say in the notes what the secret is for: reviewers have to know.")
        async with reading(self._sessions) as session:
            holder = await require_holder(session, server_id)
            secret = await secrets.get_secret(session, server_id, name)
            subject = SecretSubject(
                server_id=server_id,
                server_name=holder.name,
                name=secret.name,
                hosts=secret.hosts,
                days=days,
            )
            digest = digest_of_binding(server_id, secret.name, secret.hosts, days=days)
            earlier = await asked_before.attempts(session, workflow_ids_begin(subject, digest))
        if name in holder.granted.secrets:
            raise Conflict(f"The tools of {holder.name!r} may use {name!r} already.")
        require_not_denied(earlier, f"The secret {name!r}")
        return await self._requests.ask_people(by, subject, digest, earlier, justification)

    async def set_value(
        self, by: Principal, server_id: ServerId, name: str, value: SecretStr
    ) -> Secret:
        """Set or rotate it; the next call uses it. Raises: NotFound; Refused; Invalid."""
        may_keep_secrets(by).require()
        length = len(value.get_secret_value())
        if not 0 < length <= VALUE_MAX_LENGTH:
            raise Invalid(f"A value has from 1 to {VALUE_MAX_LENGTH} characters.")
        if self._vault is None:
            raise Invalid("Values are set in the panel or over REST.")
        async with transaction(self._sessions) as session:
            row = await secrets.get_secret_row(session, server_id, name)
            row.sealed = self._vault.seal(server_id, row.name, value)
            row.key_id = self._vault.key_id
            row.set_by = by.label
            row.set_at = utc_now()
            await session.flush()
            announce(session, Topic.CATALOG, server_id)
            add_event(
                session,
                actor=by.label,
                action=Action.SECRET_SET,
                subject=f"server:{server_id}",
                detail=row.name,
            )
            return await secrets.get_secret(session, server_id, name)

    async def delete(self, by: Principal, server_id: ServerId, name: str) -> None:
        """Value, placeholder and grant are gone at once. Raises: NotFound; Refused."""
        may_keep_secrets(by).require()
        async with transaction(self._sessions) as session:
            row = await secrets.get_secret_row(session, server_id, name)
            await session.execute(
                update(GrantRow)
                .where(
                    GrantRow.server_id == server_id,
                    GrantRow.kind == SECRET,
                    GrantRow.value == row.name,
                    GrantRow.revoked_at.is_(None),
                )
                .values(
                    revoked_at=utc_now(),
                    revoked_by=by.label,
                    revoke_reason="The secret was deleted.",
                )
            )
            await session.delete(row)
            announce(session, Topic.CATALOG, server_id)
            add_event(
                session,
                actor=by.label,
                action=Action.SECRET_DELETED,
                subject=f"server:{server_id}",
                detail=row.name,
            )
