"""What every table has in common, and how its columns and constraints are made."""

from datetime import datetime
from typing import Any

from sqlalchemy import ARRAY, JSON, DateTime, MetaData, Text
from sqlalchemy.orm import DeclarativeBase


class Row(DeclarativeBase):
    metadata = MetaData(
        naming_convention={
            "pk": "pk_%(table_name)s",
            "fk": "fk_%(table_name)s_%(column_0_name)s",
            "uq": "uq_%(table_name)s_%(column_0_name)s",
            "ix": "ix_%(table_name)s_%(column_0_name)s",
        }
    )
    type_annotation_map = {  # noqa: RUF012 - SQLAlchemy reads this attribute itself
        datetime: DateTime(timezone=True),
        str: Text,
        list[str]: ARRAY(Text),
        dict[str, Any]: JSON(none_as_null=True),
        list[dict[str, Any]]: JSON,
    }
