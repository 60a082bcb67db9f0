"""What no store and no wire of ours can carry is refused, however deep it hides."""

from typing import Any

import pytest
from pydantic import TypeAdapter, ValidationError

from mcpbox.domain.texts import JsonObject, can_be_kept, legible, made_keepable

ADAPTER: TypeAdapter[dict[str, Any]] = TypeAdapter(JsonObject)


@pytest.mark.parametrize("bad", ["a\x00b", "half \ud800"])
def test_bad_text_is_found_in_names_and_values_at_any_depth(bad: str) -> None:
    deep: Any = bad
    for _ in range(5000):
        deep = [deep]

    for value in ({bad: 1}, {"a": bad}, {"a": [{"b": {bad: None}}]}, {"a": deep}):
        with pytest.raises(ValidationError, match="NUL"):
            ADAPTER.validate_python(value)


def test_everything_else_passes_unchanged() -> None:
    given = {"a": ["ü", "😀", 1, None, True, {"b": "\n\t"}]}

    assert ADAPTER.validate_python(given) == given


@pytest.mark.parametrize("text", ["a\x00b", "half \ud800", "plain"])
def test_text_that_must_be_kept_is_made_to_fit(text: str) -> None:
    assert can_be_kept(made_keepable(text))


def test_prose_spells_out_what_would_hide_in_it_and_leaves_the_rest() -> None:
    lie = "Approved \u202eyb nimda\u202c\u200b\u3164"

    assert legible(lie) == "Approved ⟨U+202E⟩yb nimda⟨U+202C⟩⟨U+200B⟩⟨U+3164⟩"
    assert legible("one\r\ntwo\n\tthree") == "one\ntwo\n\tthree"
    assert legible("❤\ufe0f and 👩\u200d🔬") == "❤\ufe0f and 👩\u200d🔬"
    assert legible("a\u200db") == "a⟨U+200D⟩b"
