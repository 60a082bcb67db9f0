"""The trivial tool that every measurement calls."""

from typing import Any

CODE = """async def main(a: int, b: int) -> dict:
    return {"sum": a + b}
"""
ARGUMENTS: dict[str, Any] = {"a": 1, "b": 2}
ANSWER: dict[str, Any] = {"sum": 3}
INPUT_SCHEMA: dict[str, Any] = {
    "type": "object",
    "properties": {"a": {"type": "integer"}, "b": {"type": "integer"}},
    "required": ["a", "b"],
}
