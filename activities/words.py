"""Counts in sentences for people."""


def counted(count: int, one: str, many: str = "") -> str:
    """``1 host``, ``2 hosts``; ``many`` where an s does not do."""
    return f"{count} {one if count == 1 else many or one + 's'}"
