"""Who acts: people in the panel, MCP clients at the gateway, and the system itself."""

from datetime import datetime
from enum import StrEnum

from mcpbox.domain.base import DomainModel
from mcpbox.domain.ids import ClientId, DelegationId, UserId


class Role(StrEnum):
    VIEWER = "viewer"
    REVIEWER = "reviewer"
    OPERATOR = "operator"
    AUDITOR = "auditor"
    ADMIN = "admin"


class Scope(StrEnum):
    """What an MCP client may do; none of them is to decide."""

    AUTHOR = "author"
    CALL = "call"


class PrincipalKind(StrEnum):
    PERSON = "person"
    CLIENT = "client"
    SYSTEM = "system"
    POLICY = "policy"
    """A rule of the review policy; made by us when it matches, never by a face."""


class Delegator(DomainModel):
    """A person who is away, and what their deputy may do for them."""

    name: str
    roles: frozenset[Role]


class Principal(DomainModel):
    """An authenticated identity, as the face that authenticated it made it."""

    kind: PrincipalKind
    name: str
    """Unique in its kind: a person's user name, a client's name."""
    roles: frozenset[Role] = frozenset()
    """People only."""
    scopes: frozenset[Scope] = frozenset()
    """Clients only."""
    servers: frozenset[str] = frozenset()
    """Clients only: names of the only servers whose tools it calls; none: of every server."""
    stands_in_for: tuple[Delegator, ...] = ()
    """Whose deputy the person is now; by name."""

    @property
    def label(self) -> str:
        """How records name it: ``person:ana``, ``client:laptop``."""
        return f"{self.kind}:{self.name}"


SYSTEM = Principal(kind=PrincipalKind.SYSTEM, name="mcpbox")


USERNAME_PATTERN = r"[a-z0-9][a-z0-9._-]{0,62}"
PASSWORD_MIN_LENGTH = 8
PASSWORD_MAX_LENGTH = 1024


class User(DomainModel):
    id: UserId
    username: str
    roles: frozenset[Role]
    active: bool
    """An inactive person signs in nowhere, decides nothing, and their clients open nothing."""
    created_at: datetime


class NewPassword(DomainModel):
    """Answers whoever made or reset an account."""

    user: User
    password: str | None
    """Shown this once; ``None``: it was given."""


class ClientState(StrEnum):
    LIVE = "live"
    EXPIRED = "expired"
    REVOKED = "revoked"


class Client(DomainModel):
    id: ClientId
    name: str
    owner: str
    """The user whom the client acts for."""
    scopes: frozenset[Scope]
    servers: frozenset[str] = frozenset()
    """Names of the only servers whose tools it calls; none: of every server."""
    created_at: datetime
    expires_at: datetime | None = None
    """When its token ends by itself; ``None``: when somebody revokes it."""
    last_seen_at: datetime | None = None
    revoked_at: datetime | None = None

    def expired_at(self, now: datetime) -> bool:
        return self.expires_at is not None and self.expires_at <= now

    def state_at(self, now: datetime) -> ClientState:
        if self.revoked_at is not None:
            return ClientState.REVOKED
        return ClientState.EXPIRED if self.expired_at(now) else ClientState.LIVE


class NewClient(DomainModel):
    """Answers whoever made a client, or a new token for one."""

    client: Client
    token: str
    """Shown this once."""


class Delegation(DomainModel):
    """While the delegator is away, the deputy decides with the delegator's roles."""

    id: DelegationId
    delegator: str
    """User name, as the next one."""
    deputy: str
    until: datetime
    created_at: datetime
