"""Parses what an author sent, however hostile: an answer in bounded time, and never a crash."""

import ast
import re
import warnings

from mcpbox.domain.errors import Problem
from mcpbox.domain.tools import CODE_MAX_BYTES

_MAX_DOTS = 1000
"""Parsing an import takes the square of its name's length: seconds for a hostile one."""
_DOTTED_NAME = re.compile(r"\b\w++(?:[\s\\]*+\.[\s\\]*+\w++)++")


def parse(code: str) -> ast.Module | Problem:
    """The syntax tree, or why there is none."""
    size = len(code.encode("utf-8", "surrogatepass"))
    if size > CODE_MAX_BYTES:
        limit = CODE_MAX_BYTES // 1024
        return _problem(f"The code has {size} bytes; at most {limit} KB are allowed.")
    if any(found.group().count(".") > _MAX_DOTS for found in _DOTTED_NAME.finditer(code)):
        return _problem(f"The code has a dotted name of more than {_MAX_DOTS} parts.")
    try:
        return _parsed(code)
    except SyntaxError as error:
        return _problem(f"Invalid Python: {error.msg}.", error.lineno or 1, error.offset or 1)
    except (ValueError, RecursionError, MemoryError):
        return _problem(
            "Invalid Python: it holds characters that are none, or is nested too deeply."
        )


def _parsed(code: str) -> ast.Module:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # about an author's escapes, which are not ours to mend
        try:
            return ast.parse(code)
        except SystemError:  # Python 3.11 loses count where the collector ran other code meanwhile
            return ast.parse(code)


def _problem(message: str, line: int = 1, column: int = 1) -> Problem:
    return Problem(line=line, column=column, message=message)
