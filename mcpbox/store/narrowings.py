"""How rows say that power was taken away: three columns, all filled or all empty."""

from datetime import datetime

from mcpbox.domain.narrowing import Narrowing


def narrowing(by: str | None, at: datetime | None, reason: str | None) -> Narrowing | None:
    if by is None or at is None:
        return None
    return Narrowing(by=by, at=at, reason=reason or "")
