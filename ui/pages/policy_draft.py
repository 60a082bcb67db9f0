"""A policy that is being edited: what the form shows, and what of it differs from what holds."""

from collections.abc import Callable, Iterable
from typing import Any

from mcpbox.domain.review_policy import Override, ReviewPolicy, Rule


class Draft:
    """Values as typed, so it may be impossible until :meth:`checked` says otherwise."""

    def __init__(self, policy: ReviewPolicy, *, editable: bool) -> None:
        self._before = policy
        self.policy = policy
        self.editable = editable
        self.on_change: Callable[[], None] = _nothing

    @property
    def changed_parts(self) -> list[str]:
        """Names of fields of the policy, in its order."""
        return [
            name
            for name in ReviewPolicy.model_fields
            if getattr(self.policy, name) != getattr(self._before, name)
        ]

    def set(self, part: str, **values: Any) -> None:
        """Fields of the settings, the requirements or the lighter path."""
        before = getattr(self.policy, part)
        self._replace(**{part: before.model_copy(update=values)})

    def set_rules(self, part: str, rules: Iterable[Rule]) -> None:
        self._replace(**{part: tuple(rules)})

    def set_overrides(self, overrides: Iterable[Override]) -> None:
        self._replace(overrides=tuple(overrides))

    def checked(self) -> ReviewPolicy:
        """Raises: ValidationError."""
        return ReviewPolicy.model_validate(self.policy.model_dump())

    def _replace(self, **parts: Any) -> None:
        self.policy = self.policy.model_copy(update=parts)
        self.on_change()


def _nothing() -> None:
    pass
