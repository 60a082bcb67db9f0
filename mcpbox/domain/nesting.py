"""How deep JSON may be nested: further in, the libraries on its way give up, each elsewhere."""

from typing import cast

ARGUMENTS_MAX_DEPTH = 100
SCHEMA_MAX_DEPTH = 64


def nests_deeper_than(levels: int, value: object) -> bool:
    level = [value]
    for _ in range(levels):
        level = [part for each in level for part in _parts_of(each)]
        if not level:
            return False
    return True


def _parts_of(value: object) -> list[object]:
    match value:
        case dict():
            return list(cast("dict[str, object]", value).values())
        case list():
            return cast("list[object]", value)
        case _:
            return []
