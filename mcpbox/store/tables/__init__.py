"""Table definitions: the only declarative models; :mod:`migrations` makes the same tables.

Enumerations are text, not Postgres enums: a new word needs no lock on the table. What keeps the
order of its keys for people (schemas, facts) is ``JSON``; what is only looked at is ``JSONB``.

Whoever imports one table has all of them, for foreign keys name tables of other modules.
"""

from mcpbox.store.tables import (
    audit,
    clients,
    evidence,
    executions,
    grants,
    modules,
    notices,
    people,
    recovery,
    releases,
    requests,
    review_policies,
    secrets,
    servers,
    tools,
)

__all__ = [
    "audit",
    "clients",
    "evidence",
    "executions",
    "grants",
    "modules",
    "notices",
    "people",
    "recovery",
    "releases",
    "requests",
    "review_policies",
    "secrets",
    "servers",
    "tools",
]
