"""The visitor: who looks at the panel, and what they may do there."""

from pydantic import BaseModel, ConfigDict

from mcpbox.domain.people import Role


class Visitor(BaseModel):
    """Who looks at the panel."""

    model_config = ConfigDict(frozen=True)

    username: str
    roles: frozenset[Role]

    @property
    def may_decide(self) -> bool:
        """A courtesy that greys out buttons; the API decides about every decision by itself."""
        return bool(self.roles & {Role.REVIEWER, Role.ADMIN})

    @property
    def may_revoke(self) -> bool:
        """A courtesy, as above."""
        return bool(self.roles & {Role.REVIEWER, Role.OPERATOR, Role.ADMIN})

    @property
    def may_switch(self) -> bool:
        """A courtesy, as above."""
        return bool(self.roles & {Role.OPERATOR, Role.ADMIN})

    @property
    def may_keep_secrets(self) -> bool:
        """A courtesy, as above."""
        return bool(self.roles & {Role.OPERATOR, Role.ADMIN})

    @property
    def may_read_audit(self) -> bool:
        """A courtesy, as above."""
        return bool(self.roles & {Role.AUDITOR, Role.ADMIN})

    @property
    def is_admin(self) -> bool:
        """A courtesy, as above."""
        return Role.ADMIN in self.roles
