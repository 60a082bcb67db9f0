"""Notices: each person's own, and the targets outside, which admins choose."""

from uuid import UUID, uuid4

from pydantic import SecretStr
from sqlalchemy.exc import IntegrityError

from mcpbox.crypto import Keyring, new_token
from mcpbox.domain.audit import Action
from mcpbox.domain.base import Page, PageRequest, utc_now
from mcpbox.domain.errors import Invalid, NameTaken
from mcpbox.domain.notices import (
    Event,
    NewTarget,
    Notice,
    ReceivedNotice,
    Target,
    TargetDraft,
    TargetKind,
    Unread,
)
from mcpbox.domain.people import Principal
from mcpbox.policies.notices import may_set_targets, shown_of
from mcpbox.sending import NotDelivered, Sender
from mcpbox.store import notices
from mcpbox.store.audit import add_event
from mcpbox.store.session import Sessions, reading, transaction
from mcpbox.store.tables.notices import NoticeTargetRow

_PURPOSE = "notification targets"
_SEPARATOR = "\n"


class TargetSeals:
    """Addresses and signing secrets of targets, which a stolen database does not tell."""

    def __init__(self, encryption_key: SecretStr) -> None:
        self._keyring = Keyring([encryption_key], _PURPOSE)

    def seal(self, target_id: UUID, address: str, secret: str) -> tuple[str, bytes]:
        """Id of the key, and what it sealed."""
        plain = _SEPARATOR.join((secret, address)).encode()
        return self._keyring.key_id, self._keyring.seal(plain, target_id.bytes)

    def open(self, row: NoticeTargetRow) -> tuple[str, str]:
        """Address and secret. Raises: CannotOpen: the encryption key is another one now."""
        plain = self._keyring.open(row.key_id, row.sealed, row.id.bytes).decode()
        secret, _, address = plain.partition(_SEPARATOR)
        return address, secret


class Notices:
    def __init__(self, sessions: Sessions, seals: TargetSeals, sender: Sender) -> None:
        self._sessions = sessions
        self._seals = seals
        self._sender = sender

    async def mine(self, by: Principal, page: PageRequest) -> Page[ReceivedNotice]:
        """Newest first."""
        async with reading(self._sessions) as session:
            return await notices.inbox(session, by.name, page)

    async def unread(self, by: Principal) -> Unread:
        async with reading(self._sessions) as session:
            return Unread(count=await notices.count_unread(session, by.name))

    async def mark_read(self, by: Principal) -> None:
        """All of one's own."""
        async with transaction(self._sessions) as session:
            await notices.mark_read(session, by.name, utc_now())

    async def targets(self, by: Principal) -> list[Target]:
        """By name. Raises: Refused."""
        may_set_targets(by).require()
        async with reading(self._sessions) as session:
            return await notices.targets(session)

    async def add_target(self, by: Principal, draft: TargetDraft) -> NewTarget:
        """Raises: Refused; Invalid; NameTaken."""
        may_set_targets(by).require()
        shown, target_id = shown_of(draft), uuid4()
        secret = new_token("mcpbox_hook") if draft.kind is TargetKind.WEBHOOK else ""
        address = draft.address.get_secret_value().strip()
        key_id, sealed = self._seals.seal(target_id, address, secret)
        row = NoticeTargetRow(
            id=target_id,
            name=draft.name,
            kind=draft.kind,
            shown=shown,
            key_id=key_id,
            sealed=sealed,
            events=[str(event) for event in draft.events],
            private=draft.private,
            problem="",
            created_by=by.label,
            created_at=utc_now(),
        )
        try:
            async with transaction(self._sessions) as session:
                session.add(row)
                await session.flush()
                add_event(
                    session,
                    actor=by.label,
                    action=Action.NOTICE_TARGET_ADDED,
                    subject=f"notice_target:{target_id}",
                    detail=f"{draft.kind} {draft.name}: {shown}",
                    facts={"private": draft.private},
                )
        except IntegrityError as error:
            raise NameTaken("notification target", draft.name) from error
        return NewTarget(**notices.target_of(row).model_dump(), signing_secret=secret or None)

    async def remove_target(self, by: Principal, target_id: UUID) -> None:
        """Raises: Refused; NotFound."""
        may_set_targets(by).require()
        async with transaction(self._sessions) as session:
            row = await notices.get_target_row(session, target_id)
            await session.delete(row)
            add_event(
                session,
                actor=by.label,
                action=Action.NOTICE_TARGET_REMOVED,
                subject=f"notice_target:{target_id}",
                detail=f"{row.kind} {row.name}",
            )

    async def test_target(self, by: Principal, target_id: UUID) -> None:
        """Sends at once, once. Raises: Refused; NotFound; Invalid: why it did not arrive."""
        may_set_targets(by).require()
        async with transaction(self._sessions) as session:
            row = await notices.get_target_row(session, target_id)
        address, secret = self._seals.open(row)
        delivery = uuid4()
        notice = Notice(
            key=str(delivery), event=Event.TEST, about="This message", path="/notifications"
        )
        kind = TargetKind(row.kind)
        try:
            await self._sender.send(kind, address, secret, notice, delivery, private=row.private)
        except NotDelivered as error:
            raise Invalid(f"It did not arrive. {error}") from error
