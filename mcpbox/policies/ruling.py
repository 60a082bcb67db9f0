"""What a policy answers."""

from dataclasses import dataclass

from mcpbox.domain.errors import DomainError


@dataclass(frozen=True, slots=True)
class Ruling:
    """``refusal is None`` means allowed; faces show the reason, callers ``require``."""

    refusal: DomainError | None = None

    def __bool__(self) -> bool:
        return self.refusal is None

    @property
    def reason(self) -> str:
        return "" if self.refusal is None else str(self.refusal)

    def require(self) -> None:
        """Raises: DomainError: the refusal."""
        if self.refusal is not None:
            raise self.refusal


ALLOWED = Ruling()
