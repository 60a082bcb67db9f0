"""What a server's tools may use because people said so: until when, and whether it still holds."""

from datetime import datetime
from enum import StrEnum

from mcpbox.domain.base import DomainModel
from mcpbox.domain.ids import GrantId, RequestId, ServerId

DAYS_MAX = 3650


class GrantKind(StrEnum):
    HOST = "host"
    MODULE = "module"
    SECRET = "secret"  # noqa: S105 - the word itself, no secret


class GrantState(StrEnum):
    LIVE = "live"
    EXPIRED = "expired"
    REVOKED = "revoked"


class GrantEnd(DomainModel):
    """A grant that will end by itself."""

    kind: GrantKind
    value: str
    at: datetime


class Grant(DomainModel):
    id: GrantId
    server_id: ServerId
    kind: GrantKind
    value: str
    """A host as :mod:`.hosts` writes it, a module's import name, or a secret's name."""
    state: GrantState
    request_id: RequestId
    """That granted it."""
    requester: str
    granted_by: str
    granted_at: datetime
    expires_at: datetime | None = None
    """``None``: it has no end."""
    revoked_at: datetime | None = None
    revoked_by: str | None = None
    revoke_reason: str | None = None


def state_of(
    *, expires_at: datetime | None, revoked_at: datetime | None, now: datetime
) -> GrantState:
    if expires_at is not None and expires_at <= (revoked_at or now):
        return GrantState.EXPIRED
    return GrantState.LIVE if revoked_at is None else GrantState.REVOKED
