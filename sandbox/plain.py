"""How Python values that JSON does not know are returned by a tool."""

import dataclasses
import datetime
import decimal
import enum
import uuid
from collections import deque
from typing import Any, cast

_MAX_BITS = 14284
"""Of integers that Python writes out: those of up to 4300 digits."""
_MAX_DEPTH = 100
_MAX_SHOWN = 200


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
    raise TypeError(
        f"a value of type {type(value).__name__} cannot be returned; "
        "return text, numbers, lists and dicts"
    )


def misfit(value: object) -> str | None:
    """Where the first value is that cannot be returned, and why; ``None`` if none is found."""
    return _misfit(value, "result", ())


def _misfit(value: object, place: str, above: tuple[int, ...]) -> str | None:
    if isinstance(value, int) and value.bit_length() > _MAX_BITS:
        return f"{place[:_MAX_SHOWN]}: an integer of more than 4300 digits; return it as text"
    if _is_scalar(value) or len(above) > _MAX_DEPTH:
        return None
    if id(value) in above:
        return f"{place[:_MAX_SHOWN]} contains itself"
    above = (*above, id(value))
    if isinstance(value, dict):
        return _misfit_in_dict(cast("dict[object, object]", value), place, above)
    if isinstance(value, list | tuple):
        items = enumerate(cast("list[object]", value))
        found = (_misfit(below, f"{place}[{index}]", above) for index, below in items)
        return next(filter(None, found), None)
    try:
        converted = as_json(value)
    except Exception as error:  # noqa: BLE001  conversion may run code of the tool
        return f"{place[:_MAX_SHOWN]}: {error}"
    return _misfit(converted, place, above)


def _misfit_in_dict(value: dict[object, object], place: str, above: tuple[int, ...]) -> str | None:
    for key, below in value.items():
        if not _is_scalar(key):
            kind = type(key).__name__
            return f"{place[:_MAX_SHOWN]} has a key of type {kind}; keys must be text"
        named = isinstance(key, str) and key.isidentifier()
        step = f".{key}" if named else f"[{key!r}]"
        if found := _misfit(below, place + step[:_MAX_SHOWN], above):
            return found
    return None


def _is_scalar(value: object) -> bool:
    return value is None or isinstance(value, bool | int | float | str)
