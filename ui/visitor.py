"""The visitor: who looks at the panel, and what they may do there."""

from pydantic import BaseModel, ConfigDict

from mcpbox.domain.people import Delegator, Principal, PrincipalKind, Role
from mcpbox.policies.review import REVIEWING_ROLES


class Visitor(BaseModel):
    """Who looks at the panel."""

    model_config = ConfigDict(frozen=True)

    username: str
    roles: frozenset[Role]
    stands_in_for: tuple[Delegator, ...] = ()
    """People who are away, whose deputy the visitor is."""

    @property
    def principal(self) -> Principal:
        """As the API sees them, for asking the rules in advance."""
        return Principal(
            kind=PrincipalKind.PERSON,
            name=self.username,
            roles=self.roles,
            stands_in_for=self.stands_in_for,
        )

    @property
    def decides_by_role(self) -> bool:
        """A courtesy, as the next."""
        return bool(self.roles & REVIEWING_ROLES)

    @property
    def may_decide(self) -> bool:
        """A courtesy that greys out buttons; the API decides about every decision by itself."""
        away = (one.roles for one in self.stands_in_for)
        return any(roles & REVIEWING_ROLES for roles in (self.roles, *away))

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
