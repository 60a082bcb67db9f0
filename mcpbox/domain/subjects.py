"""What a change request is about: a version of a tool, or a grant to a server."""

from enum import StrEnum
from typing import Annotated, Literal

from pydantic import Field

from mcpbox.domain.base import DomainModel
from mcpbox.domain.grants import DAYS_MAX
from mcpbox.domain.hosts import HostAccess
from mcpbox.domain.ids import ServerId, ToolId, VersionId
from mcpbox.domain.modules import Requirement
from mcpbox.domain.secrets import SecretName
from mcpbox.domain.tools import callable_name


class Kind(StrEnum):
    PUBLISH = "publish"
    MODULE_GRANT = "module_grant"
    HOST_GRANT = "host_grant"
    SECRET_BINDING = "secret_binding"  # noqa: S105 - a word, no secret
    ROLLBACK = "rollback"
    RESTORE = "restore"

    @property
    def grants(self) -> bool:
        """It is about one grant and nothing else."""
        return self in _GRANTS


_GRANTS = frozenset({Kind.MODULE_GRANT, Kind.HOST_GRANT, Kind.SECRET_BINDING})


Days = Annotated[int, Field(ge=1, le=DAYS_MAX)]
"""How long a grant holds, counted from when it takes effect."""


class VersionSubject(DomainModel):
    """One version of a tool, which is to be the one that clients call."""

    server_id: ServerId
    server_name: str
    tool_id: ToolId
    tool_name: str
    version_id: VersionId
    version_number: int

    @property
    def key(self) -> str:
        return str(self.tool_id)

    @property
    def thing(self) -> str:
        """What a newer request of this kind, with the same key, takes the place of."""
        return self.key

    @property
    def title(self) -> str:
        return callable_name(self.server_name, self.tool_name)


class PublishSubject(VersionSubject):
    """Make one version of a tool callable, with the grants it needs."""

    kind: Literal[Kind.PUBLISH] = Kind.PUBLISH
    requirements: tuple[Requirement, ...] = ()
    """Modules that it brings with it, sorted by module; its server has none of them yet."""

    @property
    def label(self) -> str:
        return f"publish {self.title} v{self.version_number}"


class RollbackSubject(VersionSubject):
    """Go back to a version that was released once."""

    kind: Literal[Kind.ROLLBACK] = Kind.ROLLBACK

    @property
    def label(self) -> str:
        return f"roll {self.title} back to v{self.version_number}"


class RestoreSubject(VersionSubject):
    """Bring back what a person revoked."""

    kind: Literal[Kind.RESTORE] = Kind.RESTORE

    @property
    def label(self) -> str:
        return f"restore {self.title} v{self.version_number}"


class GrantSubject(DomainModel):
    """Let the tools of one server use something."""

    server_id: ServerId
    server_name: str
    days: Days | None = None
    """``None``: until somebody revokes it."""

    @property
    def key(self) -> str:
        return str(self.server_id)


class ModuleSubject(GrantSubject):
    """Let a server's tools import a module, with all the packages that it needs."""

    kind: Literal[Kind.MODULE_GRANT] = Kind.MODULE_GRANT
    requirement: Requirement

    @property
    def thing(self) -> str:
        return self.requirement.module

    @property
    def title(self) -> str:
        return f"{self.requirement.module} for {self.server_name}"

    @property
    def label(self) -> str:
        return f"grant {self.server_name} the module {self.requirement.module}"


class HostSubject(GrantSubject):
    """Let a server's tools reach a host, as far as their own code names it."""

    kind: Literal[Kind.HOST_GRANT] = Kind.HOST_GRANT
    access: HostAccess

    @property
    def thing(self) -> str:
        return str(self.access)

    @property
    def title(self) -> str:
        return f"{self.access.authority} for {self.server_name}"

    @property
    def label(self) -> str:
        return f"grant {self.server_name} the host {self.access}"


class SecretSubject(GrantSubject):
    """Let a server's tools use a secret, as far as their own code names it."""

    kind: Literal[Kind.SECRET_BINDING] = Kind.SECRET_BINDING
    name: SecretName
    hosts: tuple[str, ...]
    """Where its value may be sent."""

    @property
    def thing(self) -> str:
        return self.name

    @property
    def title(self) -> str:
        return f"{self.name} for {self.server_name}"

    @property
    def label(self) -> str:
        return f"let {self.server_name} use the secret {self.name}"


Subject = Annotated[
    PublishSubject | RollbackSubject | RestoreSubject | ModuleSubject | HostSubject | SecretSubject,
    Field(discriminator="kind"),
]
"""What a request is about."""


def requirements_in(subject: Subject) -> tuple[Requirement, ...]:
    """The modules that approving grants."""
    match subject:
        case ModuleSubject():
            return (subject.requirement,)
        case PublishSubject():
            return subject.requirements
        case _:
            return ()
