"""Alembic migrations, and the function that runs them."""
