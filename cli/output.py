"""How the command line answers: exit codes, errors as one sentence, JSON on demand."""

import json
from collections.abc import Generator
from contextlib import contextmanager
from enum import IntEnum
from typing import Any

import typer

from mcpbox.domain.errors import (
    Conflict,
    DomainError,
    Invalid,
    NotFound,
    Refused,
    TooManyAttempts,
    Unauthenticated,
    Unavailable,
)
from mcpbox.domain.texts import reveal


class Exit(IntEnum):
    """Part of the interface: scripts branch on these."""

    OK = 0
    FAILED = 1
    USAGE = 2
    NOT_PERMITTED = 3
    NOT_FOUND = 4
    CONFLICT = 5
    UNAVAILABLE = 6


@contextmanager
def errors_reported() -> Generator[None]:
    """A domain error ends the command with its sentence on stderr and the exit code of its kind."""
    try:
        yield
    except DomainError as error:
        echo_error(str(error))
        raise typer.Exit(exit_of(error)) from error


def exit_of(error: DomainError) -> Exit:
    return next((code for base, code in _EXITS if isinstance(error, base)), Exit.FAILED)


def echo(text: str = "") -> None:
    """What others wrote must not steer the terminal, nor hide what is said of it."""
    typer.echo(reveal(text))


def echo_error(text: str) -> None:
    typer.echo(reveal(text), err=True)


def echo_json(value: Any) -> None:
    typer.echo(json.dumps(value, indent=2))


_EXITS: tuple[tuple[type[DomainError], Exit], ...] = (
    (NotFound, Exit.NOT_FOUND),
    (Conflict, Exit.CONFLICT),
    (Invalid, Exit.USAGE),
    (Refused, Exit.NOT_PERMITTED),
    (Unauthenticated, Exit.NOT_PERMITTED),
    (TooManyAttempts, Exit.UNAVAILABLE),
    (Unavailable, Exit.UNAVAILABLE),
)
