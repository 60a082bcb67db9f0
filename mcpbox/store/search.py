"""Released tools by the words of their names and descriptions, with Postgres' full text search."""

from sqlalchemy import Text, cast, func, select
from sqlalchemy.dialects.postgresql import TSQUERY
from sqlalchemy.ext.asyncio import AsyncSession

from mcpbox.domain.tools import callable_name
from mcpbox.store.tables.releases import ReleaseRow
from mcpbox.store.tables.servers import ServerRow
from mcpbox.store.tables.tools import ToolRow, VersionRow

_MOST = 200


async def released_names(session: AsyncSession, words: str) -> list[str]:
    """Callable names, best first and then by name: one that matches more words is better.

    Whether each may be called now, and by whom, is for the caller to judge.
    """
    all_of_them = func.plainto_tsquery("english", words)
    any_of_them = cast(func.replace(cast(all_of_them, Text), "&", "|"), TSQUERY)
    rank = func.ts_rank(VersionRow.words, any_of_them)
    rows = await session.execute(
        select(ServerRow.name, VersionRow.name)
        .join(ToolRow, ToolRow.server_id == ServerRow.id)
        .join(ReleaseRow, ReleaseRow.tool_id == ToolRow.id)
        .join(VersionRow, VersionRow.id == ReleaseRow.version_id)
        .where(
            ReleaseRow.active_to.is_(None),
            ToolRow.deleted_at.is_(None),
            VersionRow.words.bool_op("@@")(any_of_them),
        )
        .order_by(rank.desc(), ServerRow.name, VersionRow.name)
        .limit(_MOST)
    )
    return [callable_name(server, tool) for server, tool in rows]
