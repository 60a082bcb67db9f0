"""Alembic's environment: the tables of :mod:`mcpbox.store.tables` on an asyncpg connection."""

from alembic import context

from mcpbox.store.tables.base import Row

_LOCK_TIMEOUT = "5s"


def run() -> None:
    connection = context.config.attributes["connection"]
    context.configure(connection=connection, target_metadata=Row.metadata, compare_type=True)
    with context.begin_transaction():
        # Rather fail and try again than queue everybody else behind a waiting ALTER.
        context.execute(f"SET LOCAL lock_timeout = '{_LOCK_TIMEOUT}'")
        context.run_migrations()


run()
