import pytest

from cli.clients import parse_scopes
from mcpbox.domain.errors import Invalid
from mcpbox.domain.people import Scope


def test_scopes_are_separated_by_commas() -> None:
    assert parse_scopes("call, author,call") == [Scope.AUTHOR, Scope.CALL]


def test_an_unknown_scope_is_named_with_those_that_exist() -> None:
    with pytest.raises(Invalid, match="'decide' is no scope; there are author, call"):
        parse_scopes("author,decide")
