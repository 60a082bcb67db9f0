"""How the gateway answers a tool call, so that a model can read it and act on it."""

import json
from collections.abc import Sequence
from typing import Any

from mcp_types import CallToolResult, TextContent
from pydantic import BaseModel

from mcpbox.domain.errors import (
    Conflict,
    DomainError,
    Invalid,
    InvalidCode,
    NotFound,
    Refused,
    TooManyAttempts,
    Unauthenticated,
    Unavailable,
)

_CODES: Sequence[tuple[type[DomainError], str]] = (
    (InvalidCode, "invalid_code"),
    (Invalid, "invalid"),
    (NotFound, "not_found"),
    (Conflict, "conflict"),
    (Refused, "refused"),
    (Unauthenticated, "unauthenticated"),
    (TooManyAttempts, "too_many_attempts"),
    (Unavailable, "unavailable"),
)
"""A subclass stands before its base."""

ANSWER_MAX_BYTES = 1_000_000
REPEATED_MAX_CHARS = 200_000
"""What is longer is sent as text alone, without structured content that says the same."""
_SURELY_SMALL_CHARS = 50_000
"""With its repetition, and all of it escaped, still below the limit."""


def answered(output: BaseModel) -> CallToolResult:
    """The text says the same as the structured content: not every client shows the latter."""
    return CallToolResult(
        content=[TextContent(text=output.model_dump_json(exclude_none=True))],
        structured_content=output.model_dump(mode="json"),
    )


def failed(error: DomainError) -> CallToolResult:
    problems: list[dict[str, Any]] | None = None
    if isinstance(error, InvalidCode):
        problems = [problem.model_dump() for problem in error.problems]
    return failure(code_of(error), str(error), problems=problems)


def failure(code: str, message: str, **details: Any) -> CallToolResult:
    """``details`` that are ``None`` are left out."""
    told = {name: detail for name, detail in details.items() if detail is not None}
    return CallToolResult(
        content=[TextContent(text=message)],
        structured_content={"error": {"code": code, "message": message, **told}},
        is_error=True,
    )


def within_limit(result: CallToolResult) -> CallToolResult:
    """The result, or an error in its place when clients could not take it.

    They give up a message of more than a mebibyte, and the model would learn nothing of it.
    """
    if _is_surely_small(result):
        return result
    size = len(result.model_dump_json(by_alias=True, exclude_none=True).encode())
    if size <= ANSWER_MAX_BYTES:
        return result
    return failure(
        "too_large",
        f"The answer is {size} bytes long, and clients take {ANSWER_MAX_BYTES} at most. Ask for "
        "less: fewer rows, a page at a time, or a summary.",
    )


def _is_surely_small(result: CallToolResult) -> bool:
    """One text, and what repeats it: measuring costs as much as sending."""
    match result.content:
        case [TextContent(text=text)]:
            return len(text) <= _SURELY_SMALL_CHARS
        case _:
            return False


def crashed(reference: str) -> CallToolResult:
    return failure("internal", internal_error(reference), reference=reference)


def internal_error(reference: str) -> str:
    return (
        f"Internal error, reference {reference}. Nothing is wrong with your input as far as we "
        "know; try once more, and give the reference to the operator when it happens again."
    )


def code_of(error: DomainError) -> str:
    return next(code for kind, code in _CODES if isinstance(error, kind))


def require_plain_json(arguments: dict[str, Any]) -> None:
    """Raises: Invalid: what no store and no wire of ours could carry.

    The protocol layer lets ``NaN``, lone surrogates and very deep nesting through.
    """
    try:
        json.dumps(arguments, allow_nan=False, ensure_ascii=False).encode()
    except UnicodeEncodeError:
        raise Invalid(
            "The arguments contain half of a surrogate pair, which is no character; remove it."
        ) from None
    except ValueError:
        raise Invalid(
            "The arguments contain NaN or Infinity, which JSON does not know; use null or a text."
        ) from None
    except RecursionError:
        raise Invalid("The arguments are nested too deeply; make them flatter.") from None
