"""The only SQLAlchemy: tables, sessions, and one module of queries per noun."""
