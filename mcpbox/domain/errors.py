"""Every error we raise on purpose.

DomainError
├── NotFound            or not yours: the two look alike
├── Conflict            valid in itself, but not in the present state
│   ├── NameTaken
│   ├── RequestFinished
│   └── StaleDigest
├── Invalid             the input itself is wrong
│   └── InvalidCode     with line and column
├── Refused             a policy said no
│   └── LacksScope      with those that would do
├── Unauthenticated     who are you?
├── TooManyAttempts
│   └── RateExceeded    with the seconds to wait
└── Unavailable         a part of ours does not answer; nothing was half-done
    └── SourceFailed    nor an external source, which may have done what it was asked

Faces translate by base class, once each: ``api.problems`` (HTTP status), ``gateway.answers``
(tool error), ``activities.errors`` (non-retryable failure), ``cli.output`` (exit code).
"""

from collections.abc import Iterator, Sequence

from mcpbox.domain.base import DomainModel


class Problem(DomainModel):
    """One thing wrong with a piece of code, and where (both counted from 1)."""

    line: int
    column: int
    message: str
    """What is wrong and what to do instead."""

    def __str__(self) -> str:
        return f"line {self.line}, column {self.column}: {self.message}"


class DomainError(Exception):
    """Base; the message is shown to people, so it names no secret and no internals."""


class NotFound(DomainError):
    """The thing does not exist, or the caller may not know that it does."""

    def __init__(self, noun: str, name: object) -> None:
        super().__init__(f"There is no {noun} {str(name)!r}.")


class Conflict(DomainError):
    """Valid in itself, but not in the present state."""


class NameTaken(Conflict):
    def __init__(self, noun: str, name: str) -> None:
        super().__init__(f"A {noun} named {name!r} exists already; choose another name.")


class RequestFinished(Conflict):
    def __init__(self, state: str) -> None:
        super().__init__(f"This request is {state}; it can no longer be decided.")


class StaleDigest(Conflict):
    def __init__(self) -> None:
        super().__init__(
            "The digest you saw is not the digest of this request; reload it, read the change "
            "again and decide on what is shown now."
        )


class Invalid(DomainError):
    """The input itself is wrong; the message says which part and what to do."""


class InvalidCode(Invalid):
    def __init__(self, problems: Sequence[Problem]) -> None:
        super().__init__("; ".join(str(problem) for problem in problems))
        self.problems = tuple(problems)


class Refused(DomainError):
    """A policy refused; the reason is the whole message."""


class LacksScope(Refused):
    def __init__(self, scopes: Sequence[str]) -> None:
        """``scopes``: as the provider of the token names them; any of them would do."""
        super().__init__(
            f"This token has none of the scopes {', '.join(scopes)}; sign in again and ask for one."
        )
        self.scopes = tuple(scopes)


class Unauthenticated(DomainError):
    """No valid credential; the message never says which part of it was wrong."""


class TooManyAttempts(DomainError):
    """Slow down; the message says for how long."""


class RateExceeded(TooManyAttempts):
    def __init__(self, what: str, per_minute: int, wait_s: int) -> None:
        """``what`` is limited, as the beginning of a sentence."""
        super().__init__(
            f"{what}: {per_minute} a minute at most. Wait {wait_s} s, then try again; nothing was "
            "done. An admin can raise the limit in the security settings."
        )
        self.wait_s = wait_s


class Unavailable(DomainError):
    """A part of ours does not answer."""

    def __init__(self, part: str, consequence: str = "Nothing was changed; try again.") -> None:
        super().__init__(f"{part} is not reachable at the moment. {consequence}")
        self.part = part


class SourceFailed(Unavailable):
    """An external source did not answer, or not as the protocol says; every word is ours."""

    def __init__(self, problem: str, *, delivered: bool = False) -> None:
        """``problem``: what is wrong with "it". ``delivered``: it may have got the question."""
        super().__init__("The external source")
        self.args = (problem,)
        self.delivered = delivered


def rebuilt(kind: str | None, message: str) -> DomainError | None:
    """The error of class ``kind`` after a way over a wire that carries only name and text."""
    classes = {found.__name__: found for found in _tree(DomainError)}
    found = classes.get(kind or "")
    if found is None:
        return None
    error = found.__new__(found)
    error.args = (message,)
    return error


def _tree(base: type[DomainError]) -> Iterator[type[DomainError]]:
    yield base
    for child in base.__subclasses__():
        yield from _tree(child)
