"""Rules in CEL over the facts of a request: what compiles, and whether one matches (ADR 0024).

The language is cut to what cannot grow: no concatenation, no ``map`` and no ``filter``, few loops.
What is left is bounded by the library's iteration budget and by the length of a rule.
"""

import re
from functools import lru_cache

from cel_expr_python import cel

from mcpbox.domain.errors import Invalid
from mcpbox.domain.review_policy import EXPRESSION_MAX_LENGTH, ReviewFacts, Rule

_LOOPS_MAX = 3
_LOOPS = re.compile(r"\b(?:all|exists|exists_one)\b")
_ERROR = re.compile(r"<input>:(?P<line>\d+):(?P<column>\d+): (?P<message>[^\n]+)")
_CONFIG = """
stdlib:
  exclude_macros: [map, filter]
  exclude_functions:
    - name: "_+_"
      overloads: [{id: add_string}, {id: add_list}, {id: add_bytes}]
"""
_NAMES = cel.Type.List(cel.Type.STRING)
VARIABLES = {
    "kind": cel.Type.STRING,
    "server": cel.Type.STRING,
    "tool": cel.Type.STRING,
    "requester": cel.Type.STRING,
    "owner": cel.Type.STRING,
    "risk": cel.Type.STRING,
    "new_hosts": _NAMES,
    "new_modules": _NAMES,
    "new_secrets": _NAMES,
    "unshown": _NAMES,
    "subset_of_released": cel.Type.BOOL,
    "checks": cel.Type.Map(cel.Type.STRING, cel.Type.STRING),
    "hour": cel.Type.INT,
    "weekday": cel.Type.INT,
}
"""What a rule may name: every field of :class:`ReviewFacts`."""


class RuleFailed(Exception):
    """A rule compiled, but could not be evaluated for this request."""


def require_sound(rule: Rule) -> None:
    """Raises: Invalid: it does not compile, or is no question; with line and column."""
    try:
        _compiled(rule.expression)
    except Invalid as error:
        raise Invalid(f"The rule {rule.name!r}: {error}") from error


def matches(rule: Rule, facts: ReviewFacts) -> bool:
    """Raises: RuleFailed."""
    try:
        answer = _compiled(rule.expression).eval(data=facts.model_dump(mode="json"))
    except (Invalid, RuntimeError) as error:
        raise RuleFailed(_plain(str(error))) from error
    value = answer.value()
    if not isinstance(value, bool):
        raise RuleFailed(_plain(str(value)))
    return value


@lru_cache(maxsize=256)
def _compiled(expression: str) -> cel.Expression:
    if len(expression) > EXPRESSION_MAX_LENGTH:
        raise Invalid(f"it is longer than {EXPRESSION_MAX_LENGTH} characters; split it in two.")
    if len(_LOOPS.findall(expression)) > _LOOPS_MAX:
        raise Invalid(f"it loops more than {_LOOPS_MAX} times; split it in two.")
    try:
        compiled = _environment().compile(expression)
    except RuntimeError as error:
        raise Invalid(_where(str(error))) from error
    if compiled.return_type() != cel.Type.BOOL:
        raise Invalid("line 1, column 1: it has to answer true or false.")
    return compiled


@lru_cache(maxsize=1)
def _environment() -> cel.Env:
    return cel.NewEnv(config=cel.NewEnvConfigFromYaml(_CONFIG), variables=VARIABLES)


def _where(text: str) -> str:
    found = _ERROR.search(text)
    if found is None:
        return f"line 1, column 1: {_plain(text)}"
    message = found["message"].removesuffix(" (in container '')")
    return f"line {found['line']}, column {found['column']}: {message}"


def _plain(text: str) -> str:
    """Without the library's status words around it."""
    return re.sub(r"^[A-Z_]+: | \[[A-Z_]+\]$", "", text.strip())[:300]
