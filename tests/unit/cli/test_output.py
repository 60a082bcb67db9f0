from collections.abc import Callable

import pytest
import typer

from cli.output import Exit, echo, echo_error, errors_reported, exit_of
from mcpbox.domain.errors import (
    Conflict,
    DomainError,
    Invalid,
    NotFound,
    Refused,
    Unauthenticated,
    Unavailable,
)


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (NotFound("client", "laptop"), 4),
        (Conflict("taken"), 5),
        (Invalid("wrong"), 2),
        (Refused("no"), 3),
        (Unauthenticated("who?"), 3),
        (Unavailable("Postgres"), 6),
        (DomainError("anything else"), 1),
    ],
)
def test_each_kind_of_error_has_its_exit_code(error: DomainError, code: int) -> None:
    assert exit_of(error) == code


def test_every_direct_kind_of_error_is_told_from_a_plain_failure() -> None:
    for kind in DomainError.__subclasses__():
        if kind.__module__ == DomainError.__module__:
            assert exit_of(kind.__new__(kind)) is not Exit.FAILED, kind


def test_an_error_is_one_sentence_on_stderr_without_a_trace(
    capsys: pytest.CaptureFixture[str],
) -> None:
    with pytest.raises(typer.Exit) as ended, errors_reported():
        raise Conflict("Port 8002 is in use.")

    assert ended.value.exit_code == 5
    assert capsys.readouterr() == ("", "Port 8002 is in use.\n")


@pytest.mark.parametrize("say", [echo, echo_error])
def test_what_others_wrote_cannot_steer_the_terminal(
    say: Callable[[str], None], capsys: pytest.CaptureFixture[str]
) -> None:
    say("fine\x1b[2K\rdenied \u202eknil\n\tkept")

    told = capsys.readouterr()
    assert told.out + told.err == "fine⟨U+001B⟩[2K⟨U+000D⟩denied ⟨U+202E⟩knil\n\tkept\n"
