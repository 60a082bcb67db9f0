"""What keeps this process' own role from changing the audit log, as Postgres says it."""

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession

from mcpbox.domain.audit import Protection

_TABLES = ("audit_events", "audit_anchors")
_RIGHTS = text("""
    SELECT bool_or(role.rolsuper
                   OR pg_has_role(current_user, kept.relowner, 'MEMBER')
                   OR has_table_privilege(current_user, kept.oid, 'UPDATE, DELETE, TRUNCATE'))
      FROM pg_class kept, pg_roles role
     WHERE role.rolname = current_user AND kept.oid = ANY(CAST(:tables AS regclass[]))
""")
_TRIGGERS = text("""
    SELECT count(DISTINCT tgrelid)
      FROM pg_trigger
     WHERE tgname = 'append_only' AND tgenabled = 'A'
       AND tgrelid = ANY(CAST(:tables AS regclass[]))
""")


async def protection(session: AsyncSession) -> Protection:
    given = {"tables": list(_TABLES)}
    if not await session.scalar(_RIGHTS, given):
        return Protection.RIGHTS
    guarded = await session.scalar(_TRIGGERS, given)
    return Protection.TRIGGER if guarded == len(_TABLES) else Protection.NOTHING
