"""A request as it is first written down: with its first round, whose client made it, once."""

from typing import Any, cast

from sqlalchemy import Integer, Select, Table, bindparam, func, literal, select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import aliased

from mcpbox.store.clients import OWNERS
from mcpbox.store.review_policies import CURRENT_VERSION
from mcpbox.store.tables.requests import RequestRow, RoundRow

_REQUESTS = cast("Table", RequestRow.__table__)
_ROUNDS = cast("Table", RoundRow.__table__)
_GIVEN = (
    "id",
    "workflow_id",
    "kind",
    "state",
    "state_reason",
    "server_id",
    "subject",
    "tool_id",
    "version_id",
    "released_version_id",
    "digest",
    "requester",
    "notes",
    "quorum",
    "needs",
    "authors",
    "created_at",
    "updated_at",
    "expires_at",
)


async def add_request(
    session: AsyncSession,
    values: dict[str, Any],
    *,
    policy_version: int | None,
    client_names: list[str],
) -> RequestRow | None:
    """``None``: it is there already.

    ``values``: {name: value} of columns, all those that have no default. ``policy_version``:
    ``None`` is the one in force. ``client_names``: of those behind it, whose owners are kept.
    """
    given = {f"new_{name}": values[name] for name in _GIVEN}
    more = {"frozen_version": policy_version, "client_names": client_names}
    return await session.scalar(_ADD, given | more)


def _add() -> Select[RequestRow]:
    """One statement, which answers with the request, if it is new."""
    policy = func.coalesce(
        bindparam("frozen_version", type_=Integer), CURRENT_VERSION.scalar_subquery()
    )
    given = {name: bindparam(f"new_{name}") for name in _GIVEN}
    new = (
        insert(_REQUESTS)
        .values(**given, policy_version=policy, owners=OWNERS)
        .on_conflict_do_nothing()
        .returning(_REQUESTS)
        .cte("new")
    )
    first_round = select(
        new.c.id.label("request_id"),
        new.c.round.label("number"),
        new.c.version_id,
        new.c.digest,
        new.c.notes,
        new.c.created_at.label("opened_at"),
        literal([], _ROUNDS.c.evidence.type).label("evidence"),
    )
    columns = first_round.selected_columns.keys()
    rounds = insert(_ROUNDS).from_select(columns, first_round).cte("first_round")
    return select(aliased(RequestRow, new)).add_cte(rounds)


_ADD = _add()
