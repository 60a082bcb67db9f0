"""What keeps this process' own role from changing the audit log, as Postgres says it."""

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession

from mcpbox.domain.audit import Protection

_TABLES = 2
_RIGHTS = text("""
    SELECT count(*),
           bool_or(role.rolsuper
                   OR pg_has_role(current_user, kept.relowner, 'MEMBER')
                   OR has_table_privilege(current_user, kept.oid, 'UPDATE, DELETE, TRUNCATE'))
      FROM pg_class kept, pg_roles role
     WHERE role.rolname = current_user
       AND kept.oid IN (to_regclass('audit_events'), to_regclass('audit_anchors'))
""")
_TRIGGERS = text("""
    SELECT count(DISTINCT tgrelid)
      FROM pg_trigger
     WHERE tgname = 'append_only' AND tgenabled = 'A'
       AND tgrelid IN (to_regclass('audit_events'), to_regclass('audit_anchors'))
""")


async def protection(session: AsyncSession) -> Protection:
    tables, may_change = (await session.execute(_RIGHTS)).one()
    if tables == _TABLES and not may_change:
        return Protection.RIGHTS
    guarded = await session.scalar(_TRIGGERS)
    return Protection.TRIGGER if guarded == _TABLES else Protection.NOTHING
