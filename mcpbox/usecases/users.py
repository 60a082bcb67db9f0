"""Accounts of people: made, given roles, switched off and on by admins."""

import asyncio
import re
from collections.abc import Iterable
from uuid import uuid4

from pydantic import SecretStr
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncSession

from mcpbox.crypto import hash_password, new_password
from mcpbox.domain.audit import Action
from mcpbox.domain.base import utc_now
from mcpbox.domain.errors import Invalid, NameTaken
from mcpbox.domain.people import (
    PASSWORD_MAX_LENGTH,
    PASSWORD_MIN_LENGTH,
    USERNAME_PATTERN,
    NewPassword,
    Principal,
    Role,
    User,
)
from mcpbox.policies.people import may_change_person, may_manage_people
from mcpbox.store import people
from mcpbox.store.audit import add_event
from mcpbox.store.changes import Topic, announce
from mcpbox.store.session import Sessions, reading, transaction
from mcpbox.store.tables.people import UserRow


class Users:
    def __init__(self, sessions: Sessions) -> None:
        self._sessions = sessions

    async def list(self, by: Principal) -> list[User]:
        """By name, inactive ones too. Raises: Refused."""
        may_manage_people(by).require()
        async with reading(self._sessions) as session:
            return await people.users(session)

    async def create(
        self, by: Principal, username: str, roles: Iterable[Role], password: SecretStr | None = None
    ) -> NewPassword:
        """Without ``password`` one is made, and answered this once.

        Raises: Refused; Invalid; NameTaken.
        """
        may_manage_people(by).require()
        given = _checked_roles(roles)
        if not re.fullmatch(USERNAME_PATTERN, username):
            raise Invalid(
                f"{username[:80]!r} is not a user name: use small letters, digits, '.', '_' and "
                "'-', a letter or digit first, at most 63 characters."
            )
        made, hashed = await _hashed(password)
        row = UserRow(
            id=uuid4(),
            username=username,
            password_hash=hashed,
            roles=given,
            active=True,
            created_at=utc_now(),
        )
        try:
            async with transaction(self._sessions) as session:
                session.add(row)
                await session.flush()
                announce(session, Topic.CLIENTS)  # whose identity was refused may come in now
                _tell(session, by, Action.USER_CREATED, row, ", ".join(given))
        except IntegrityError as error:
            raise NameTaken("user", username) from error
        return NewPassword(user=people.user_of(row), password=made)

    async def set_roles(self, by: Principal, username: str, roles: Iterable[Role]) -> User:
        """They count at once, in sessions that are open too.

        Raises: NotFound; Refused; Invalid; Conflict: nobody else is an admin.
        """
        given = _checked_roles(roles)
        async with transaction(self._sessions) as session:
            row = await _changeable(session, by, username, roles=given)
            if set(row.roles) != set(given):
                before = ", ".join(sorted(row.roles))
                row.roles = given
                told = f"{before} -> {', '.join(given)}"
                _tell(session, by, Action.USER_ROLES_CHANGED, row, told)
            return people.user_of(row)

    async def deactivate(self, by: Principal, username: str) -> User:
        """Sessions and clients open nothing from now on; votes stay on record.

        Raises: NotFound; Refused; Conflict: nobody else is an admin.
        """
        async with transaction(self._sessions) as session:
            row = await _changeable(session, by, username, active=False)
            if row.active:
                row.active = False
                await people.end_sessions(session, row.id, utc_now())
                announce(session, Topic.CLIENTS)
                _tell(session, by, Action.USER_DEACTIVATED, row)
            return people.user_of(row)

    async def activate(self, by: Principal, username: str) -> User:
        """With the roles as they were; their clients open again. Raises: NotFound; Refused."""
        async with transaction(self._sessions) as session:
            row = await _changeable(session, by, username, active=True)
            if not row.active:
                row.active = True
                announce(session, Topic.CLIENTS)
                _tell(session, by, Action.USER_ACTIVATED, row)
            return people.user_of(row)

    async def reset_password(
        self, by: Principal, username: str, password: SecretStr | None = None
    ) -> NewPassword:
        """Ends the person's sessions. Raises: NotFound; Refused; Invalid."""
        may_manage_people(by).require()
        made, hashed = await _hashed(password)
        async with transaction(self._sessions) as session:
            row = await _changeable(session, by, username)
            row.password_hash = hashed
            await people.end_sessions(session, row.id, utc_now())
            _tell(session, by, Action.PASSWORD_RESET, row)
            return NewPassword(user=people.user_of(row), password=made)


def checked_password(password: SecretStr) -> SecretStr:
    """Raises: Invalid: too short or too long."""
    if not PASSWORD_MIN_LENGTH <= len(password.get_secret_value()) <= PASSWORD_MAX_LENGTH:
        raise Invalid(
            f"A password has {PASSWORD_MIN_LENGTH} to {PASSWORD_MAX_LENGTH} characters; "
            "choose another one."
        )
    return password


def _checked_roles(roles: Iterable[Role]) -> list[str]:
    """In the order in which roles are declared. Raises: Invalid."""
    given = set(roles)
    if not given:
        raise Invalid(f"Give at least one role: {', '.join(Role)}.")
    return [role.value for role in Role if role in given]


async def _hashed(password: SecretStr | None) -> tuple[str | None, str]:
    """What was made here, and the hash. Raises: Invalid."""
    chosen = SecretStr(new_password()) if password is None else checked_password(password)
    hashed = await asyncio.to_thread(hash_password, chosen)
    return chosen.get_secret_value() if password is None else None, hashed


async def _changeable(
    session: AsyncSession,
    by: Principal,
    username: str,
    *,
    roles: Iterable[str] | None = None,
    active: bool | None = None,
) -> UserRow:
    """Left out: as it is. Raises: NotFound; Refused; Conflict."""
    may_manage_people(by).require()
    admins = await people.active_admins(session)
    row = await people.get_user_row(session, username)
    may_change_person(
        by,
        username,
        roles={Role(role) for role in (row.roles if roles is None else roles)},
        active=row.active if active is None else active,
        admins=admins,
    ).require()
    return row


def _tell(
    session: AsyncSession, by: Principal, action: Action, row: UserRow, detail: str = ""
) -> None:
    announce(session, Topic.PEOPLE, row.id)
    add_event(
        session,
        actor=by.label,
        action=action,
        subject=f"user:{row.id}",
        detail=f"{row.username}: {detail}" if detail else row.username,
    )
