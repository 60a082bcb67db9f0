"""Problems: what the API refused, in words fit to show."""

import httpx
from pydantic import BaseModel, ValidationError

_UNAUTHORIZED = 401


class ApiProblem(Exception):
    """The API refused or did not answer; title and detail are fit to show."""

    def __init__(self, status: int, title: str, detail: str) -> None:
        super().__init__(f"{title}: {detail}")
        self.status = status
        self.title = title
        self.detail = detail


class SignedOut(ApiProblem):
    """The session is not valid, or no longer."""


_TITLES = {
    401: "Sign in first",
    403: "That is not allowed",
    404: "There is nothing here",
    409: "That is not possible any more",
    422: "That was not understood",
    429: "Too many attempts",
    503: "A part of mcpbox does not answer",
}


class _Problem(BaseModel):
    detail: str = ""


def problem_in(response: httpx.Response) -> ApiProblem:
    """Only a problem+json body is shown; anything else may be a proxy's page or a trace."""
    said = _Problem()
    if response.headers.get("content-type", "").startswith("application/problem+json"):
        try:
            said = _Problem.model_validate_json(response.content)
        except ValidationError:
            said = _Problem()
    kind = SignedOut if response.status_code == _UNAUTHORIZED else ApiProblem
    return kind(
        response.status_code,
        _TITLES.get(response.status_code, "The API could not answer"),
        said.detail or f"It answered with status {response.status_code}; try again in a moment.",
    )
