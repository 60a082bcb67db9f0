"""What the application's role may do: all it needs, and nothing that changes the audit log."""

from sqlalchemy import Connection, text

_APPEND_ONLY = "audit_events, audit_anchors"
_GRANTS = (
    "GRANT USAGE ON SCHEMA {schema} TO {role}",
    "GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA {schema} TO {role}",
    f"REVOKE ALL ON {_APPEND_ONLY}, alembic_version FROM {{role}}",
    f"GRANT SELECT, INSERT ON {_APPEND_ONLY} TO {{role}}",
    "GRANT SELECT ON alembic_version TO {role}",
)


def grant_to(connection: Connection, role: str) -> None:
    """Safe to repeat; where the role owns the tables itself, there is nothing to grant."""
    names = connection.execute(
        text("SELECT quote_ident(current_schema()), quote_ident(:role), current_user = :role"),
        {"role": role},
    )
    schema, quoted, is_owner = names.one()
    if is_owner:
        return
    for statement in _GRANTS:
        connection.execute(text(statement.format(schema=schema, role=quoted)))
