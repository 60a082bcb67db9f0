"""People: the first account, signing in and out, passwords, and who holds an access token."""

import asyncio
import time
from collections import defaultdict, deque
from datetime import timedelta
from functools import cache
from uuid import uuid4

from pydantic import SecretStr

from mcpbox.crypto import (
    hash_password,
    new_password,
    new_token,
    password_matches,
    token_hash,
)
from mcpbox.domain.audit import Action
from mcpbox.domain.base import DomainModel, utc_now
from mcpbox.domain.errors import NotFound, Refused, TooManyAttempts, Unauthenticated
from mcpbox.domain.people import Principal, Role
from mcpbox.policies.operators import may_read_payloads
from mcpbox.store import people
from mcpbox.store.audit import add_event
from mcpbox.store.session import Sessions, reading, transaction
from mcpbox.store.tables.people import SessionRow, UserRow
from mcpbox.usecases.users import checked_password

ADMIN = "admin"
ACCESS_LIFETIME = timedelta(hours=12)
REFRESH_LIFETIME = timedelta(days=7)
_ATTEMPTS = 5
_WINDOW_S = 60.0
_NAMES_MAX = 10_000
"""Of failed logins; beyond it, names whose pause is over are forgotten."""
_WRONG = "The user name or the password is wrong."


class Tokens(DomainModel):
    """Random and opaque; what they open is a row that can be ended at once (ADR 0009)."""

    access_token: str
    refresh_token: str
    expires_in: int
    """Seconds until the access token ends."""


class People:
    def __init__(self, sessions: Sessions) -> None:
        self._sessions = sessions
        self._failures: defaultdict[str, deque[float]] = defaultdict(
            lambda: deque(maxlen=_ATTEMPTS)
        )
        # One at a time: each takes 64 MiB, and a flood of logins must not take it all.
        self._hashing = asyncio.Semaphore(2)

    async def login(self, username: str, password: SecretStr) -> Tokens:
        """Raises: Unauthenticated; TooManyAttempts: five failures for this name in a minute."""
        row = await self._proved(username, password)
        tokens, session_row = _new_session(row)
        async with transaction(self._sessions) as session:
            session.add(session_row)
            await session.flush()
            add_event(
                session,
                actor=f"person:{username}",
                action=Action.LOGIN_SUCCEEDED,
                subject=f"user:{row.id}",
            )
        return tokens

    async def change_password(self, by: Principal, current: SecretStr, new: SecretStr) -> None:
        """Of one's own account; ends every session, this one too.

        Raises: Refused: ``current`` is wrong; TooManyAttempts; Invalid.
        """
        checked_password(new)
        try:
            known = await self._proved(by.name, current)
        except Unauthenticated as error:
            raise Refused("The present password is wrong; nothing was changed.") from error
        async with self._hashing:
            hashed = await asyncio.to_thread(hash_password, new)
        async with transaction(self._sessions) as session:
            row = await people.get_user_row(session, known.username)
            row.password_hash = hashed
            await people.end_sessions(session, row.id, utc_now())
            add_event(
                session,
                actor=by.label,
                action=Action.PASSWORD_CHANGED,
                subject=f"user:{row.id}",
            )

    async def open_session(self, person: Principal) -> Tokens:
        """Without a password: for whoever holds the data directory anyway. Raises: Refused.

        The command line asks for it, so that a program can be given a token.
        """
        may_read_payloads(person).require()
        async with transaction(self._sessions) as session:
            row = await people.find_user(session, person.name)
            if row is None:
                raise NotFound("active user", person.name)
            tokens, session_row = _new_session(row)
            session.add(session_row)
            await session.flush()
            add_event(
                session,
                actor=person.label,
                action=Action.LOGIN_SUCCEEDED,
                subject=f"user:{row.id}",
                detail="On the command line, without a password.",
            )
        return tokens

    async def refresh(self, refresh_token: str) -> Tokens:
        """Each refresh token works once. Raises: Unauthenticated."""
        now = utc_now()
        async with transaction(self._sessions) as session:
            old = await people.find_refreshable(session, token_hash(refresh_token), now)
            if old is None:
                raise Unauthenticated("This refresh token is unknown, used or expired; log in.")
            user = await session.get_one(UserRow, old.user_id)
            await people.end_session(session, old.id, now)
            tokens, row = _new_session(user)
            session.add(row)
        return tokens

    async def logout(self, access_token: str) -> None:
        """Ends the session at once, on every replica; an unknown token changes nothing."""
        now = utc_now()
        async with transaction(self._sessions) as session:
            found = await people.find_session(session, token_hash(access_token), now)
            if found is None:
                return
            row, user = found
            await people.end_session(session, row.id, now)
            add_event(
                session,
                actor=f"person:{user.username}",
                action=Action.LOGOUT,
                subject=f"user:{user.id}",
            )

    async def whoami(self, access_token: str) -> Principal:
        """With the roles as they are now. Raises: Unauthenticated."""
        async with reading(self._sessions) as session:
            found = await people.find_session(session, token_hash(access_token), utc_now())
            if found is None:
                raise Unauthenticated("The session has ended; log in again.")
            person = await people.find_reviewer(session, found[1].username)
            if person is None:
                raise Unauthenticated("The session has ended; log in again.")
            return person

    async def _proved(self, username: str, password: SecretStr) -> UserRow:
        """The active person with this password. Raises: Unauthenticated; TooManyAttempts."""
        self._require_patience(username)
        async with reading(self._sessions) as session:
            row = await people.find_user(session, username)
        # An unknown name costs as much time as a wrong password, so it tells nothing.
        async with self._hashing:
            known = await asyncio.to_thread(_nobodys_hash) if row is None else row.password_hash
            matches = await asyncio.to_thread(password_matches, password, known)
        if row is None or not matches or not row.active:
            self._remember_failure(username)
            await self._record(f"person:{username[:80]}", Action.LOGIN_FAILED, "user:unknown")
            raise Unauthenticated(_WRONG)
        self._failures.pop(username, None)
        return row

    def _require_patience(self, username: str) -> None:
        recent = self._failures.get(username, ())
        if len(recent) == _ATTEMPTS and (wait := recent[0] + _WINDOW_S - time.monotonic()) > 0:
            raise TooManyAttempts(
                f"Too many failed logins for this name; try again in {int(wait) + 1} seconds."
            )

    def _remember_failure(self, username: str) -> None:
        now = time.monotonic()
        if len(self._failures) >= _NAMES_MAX:
            for name in [n for n, times in self._failures.items() if times[-1] + _WINDOW_S < now]:
                del self._failures[name]
        self._failures[username].append(now)

    async def _record(self, actor: str, action: Action, subject: str) -> None:
        async with transaction(self._sessions) as session:
            add_event(session, actor=actor, action=action, subject=subject)


async def ensure_admin(sessions: Sessions, password: SecretStr | None) -> str | None:
    """Make the account ``admin`` where there is none yet.

    Returns the password only when it was generated here: it is shown once and not kept.
    """
    async with reading(sessions) as session:
        if await people.any_user(session):
            return None
    chosen = password or SecretStr(new_password())
    hashed = await asyncio.to_thread(hash_password, chosen)
    async with transaction(sessions) as session:
        row = UserRow(
            id=uuid4(),
            username=ADMIN,
            password_hash=hashed,
            roles=[Role.ADMIN, Role.REVIEWER],
            active=True,
            created_at=utc_now(),
        )
        session.add(row)
        await session.flush()
        add_event(
            session, actor="system:mcpbox", action=Action.USER_CREATED, subject=f"user:{row.id}"
        )
    return None if password else chosen.get_secret_value()


def _new_session(user: UserRow) -> tuple[Tokens, SessionRow]:
    now = utc_now()
    access, refresh = new_token("mcpbox_access"), new_token("mcpbox_refresh")
    row = SessionRow(
        id=uuid4(),
        user_id=user.id,
        access_hash=token_hash(access),
        refresh_hash=token_hash(refresh),
        access_expires_at=now + ACCESS_LIFETIME,
        refresh_expires_at=now + REFRESH_LIFETIME,
        created_at=now,
    )
    tokens = Tokens(
        access_token=access,
        refresh_token=refresh,
        expires_in=int(ACCESS_LIFETIME.total_seconds()),
    )
    return tokens, row


@cache
def _nobodys_hash() -> str:
    return hash_password(SecretStr(new_password()))
