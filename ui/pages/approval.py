"""What is chosen with an approval: what is granted with it, and for how long it holds."""

from nicegui import ui

from mcpbox.domain.probation import ProbationTerms
from mcpbox.domain.requests import RequestDetail
from ui.pages.facts import show_consequences
from ui.pages.grant_end import GrantEnd
from ui.pages.probation import ProbationChoice
from ui.parts import box, text


class ApprovalChoices:
    """All of it, and for good, until the visitor chooses otherwise."""

    def __init__(self, request: RequestDetail) -> None:
        self._request = request
        self._probation = ProbationChoice(request.terms.probation if request.terms else None)
        self._end = GrantEnd(request)
        self._grants: dict[str, ui.checkbox] = {}

    @property
    def refused(self) -> tuple[str, ...]:
        """Items of the needs that are not granted; the LLM is told."""
        return tuple(item for item, kept in self._grants.items() if not kept.value)

    @property
    def probation(self) -> ProbationTerms | None:
        """Raises: ValidationError: a number is out of its range."""
        return self._probation.terms

    @property
    def granted_days(self) -> int | None:
        """``None``: as it was asked for."""
        return self._end.days

    def validate(self) -> bool:
        """Whether everything chosen is complete; fields say what is missing."""
        return self._end.validate()

    def show(self) -> None:
        show_consequences(self._request)
        if self._request.needs:
            self._show_grants()
        if self._request.needs or self._request.kind.grants:
            self._end.show()
        if self._request.proposed is not None:
            self._probation.show()

    def _show_grants(self) -> None:
        text("Grant with it; clear what you refuse", "label", "div")
        with box("grants"):
            for item in self._request.needs.items:
                kept = ui.checkbox(item, value=True).props("dense")
                self._grants[item] = kept.mark(f"grant {item}")
