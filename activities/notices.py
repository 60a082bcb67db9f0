"""Sends notices, and keeps a record of what arrived."""

from uuid import UUID, uuid5

from temporalio import activity
from temporalio.exceptions import ApplicationError

from activities.errors import final_domain_errors
from mcpbox.crypto import CannotOpen
from mcpbox.domain.base import utc_now
from mcpbox.domain.notices import Notice, TargetKind
from mcpbox.sending import NotDelivered, Sender
from mcpbox.store import notices
from mcpbox.store.session import Sessions, reading, transaction
from mcpbox.usecases.notices import TargetSeals
from workflows.notices import (
    Delivery,
    DueNotices,
    NoticeActivities,
    NoticeId,
    OpenDeliveries,
)


class SentNotices(NoticeActivities):
    def __init__(self, sessions: Sessions, seals: TargetSeals, sender: Sender) -> None:
        self._sessions = sessions
        self._seals = seals
        self._sender = sender

    @activity.defn
    async def notify(self, given: Notice) -> None:
        with final_domain_errors():
            async with transaction(self._sessions) as session:
                await notices.post(session, given)

    @activity.defn
    async def due_notices(self) -> DueNotices:
        with final_domain_errors():
            async with reading(self._sessions) as session:
                return DueNotices(notice_ids=tuple(await notices.due(session)))

    @activity.defn
    async def open_deliveries(self, given: NoticeId) -> OpenDeliveries:
        with final_domain_errors():
            async with reading(self._sessions) as session:
                found = await notices.open_deliveries(session, given.notice_id)
        return OpenDeliveries(target_ids=tuple(found))

    @activity.defn
    async def deliver(self, given: Delivery) -> None:
        with final_domain_errors():
            async with reading(self._sessions) as session:
                found = await notices.find_delivery(session, given.notice_id, given.target_id)
        if found is None or found[0].delivered_at is not None:
            return
        _, notice, target = found
        try:
            address, secret = self._seals.open(target)
            await self._sender.send(
                TargetKind(target.kind),
                address,
                secret,
                notices.notice_of(notice),
                _delivery_id(given),
                private=target.private,
            )
        except CannotOpen as error:
            said = "Its address was sealed with another encryption key; remove it, and add it anew."
            await self._record(given, said)
            raise ApplicationError(said, type="CannotOpen", non_retryable=True) from error
        except NotDelivered as error:
            await self._record(given, str(error))
            raise ApplicationError(str(error), type="NotDelivered") from error
        await self._record(given, "")

    @activity.defn
    async def give_up(self, given: Delivery) -> None:
        with final_domain_errors():
            async with transaction(self._sessions) as session:
                found = await notices.find_delivery(session, given.notice_id, given.target_id)
                if found is not None:
                    found[0].given_up_at = utc_now()

    async def _record(self, given: Delivery, problem: str) -> None:
        with final_domain_errors():
            async with transaction(self._sessions) as session:
                found = await notices.find_delivery(session, given.notice_id, given.target_id)
                if found is None:
                    return
                delivery, _, target = found
                delivery.tries += 1
                delivery.problem = target.problem = problem
                if not problem:
                    delivery.delivered_at = target.delivered_at = utc_now()


def _delivery_id(given: Delivery) -> UUID:
    """Always the same for one notice and one target."""
    return uuid5(given.notice_id, str(given.target_id))
