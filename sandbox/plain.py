"""How Python values that JSON does not know are returned by a tool."""

import dataclasses
import datetime
import decimal
import enum
import uuid
from collections import deque
from typing import Any, cast


def as_json(value: Any) -> Any:
    """For ``json.dumps(default=…)``; raises ``TypeError`` for what has no plain form."""
    if hasattr(value, "model_dump"):
        return value.model_dump(mode="json")
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return dataclasses.asdict(value)
    if isinstance(value, enum.Enum):
        return value.value
    if isinstance(value, datetime.date | datetime.time | decimal.Decimal | uuid.UUID):
        return str(value)
    if isinstance(value, set | frozenset | deque):
        return list(cast("set[Any]", value))
    if isinstance(value, bytes):
        return value.decode(errors="replace")
    raise TypeError(f"a value of type {type(value).__name__} cannot be returned")
