"""I1, as facts and a ruling."""

from datetime import timedelta

import pytest

from mcpbox.domain.calls import CallableTool
from mcpbox.domain.grants import GrantEnd, GrantKind
from mcpbox.domain.manifests import Granted
from mcpbox.domain.people import Principal, PrincipalKind, Scope
from mcpbox.domain.servers import DesiredState
from mcpbox.policies.call import may_call
from tests.factories import NOW, OTHER_DIGEST, a_callable

CALLER = Principal(kind=PrincipalKind.CLIENT, name="laptop", scopes=frozenset({Scope.CALL}))


def test_a_released_tool_of_a_running_server_may_be_called() -> None:
    assert may_call(a_callable("api.example.com"), CALLER, NOW)


@pytest.mark.parametrize(
    ("tool", "reason"),
    [
        (a_callable(server_state=DesiredState.STOPPED), "is stopped"),
        (a_callable(enabled=False), "is disabled"),
        (a_callable(approved_digest=OTHER_DIGEST), "not what was approved"),
        (a_callable(receipt=None), "no approval receipt"),
        (a_callable("api.example.com", granted=Granted()), "not granted any more"),
    ],
)
def test_i1_each_missing_fact_alone_stops_a_tool(tool: CallableTool, reason: str) -> None:
    assert reason in may_call(tool, CALLER, NOW).reason


def test_a_token_without_the_scope_calls_nothing() -> None:
    author = CALLER.model_copy(update={"scopes": frozenset({Scope.AUTHOR})})

    assert "scope 'call'" in may_call(a_callable(), author, NOW).reason


def test_i1_a_grant_that_ends_by_itself_stops_a_tool_at_that_moment() -> None:
    end = GrantEnd(kind=GrantKind.HOST, value="GET a.org/v1", at=NOW)
    held = Granted(hosts=frozenset({"GET a.org/v1"}), ends=(end,))
    tool = a_callable("a.org", granted=held)

    assert may_call(tool, CALLER, NOW - timedelta(microseconds=1))
    assert "a.org, which are not granted any more" in may_call(tool, CALLER, NOW).reason
