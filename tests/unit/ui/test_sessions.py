import httpx
import pytest

from tests.unit.ui.stub_api import StubApi, problem
from ui.problems import ApiProblem
from ui.rest import Rest
from ui.sessions import REMEMBERED_S, Sessions, cookie_in, cookie_name


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


async def test_the_api_is_asked_once_in_a_few_seconds() -> None:
    api, clock = StubApi(), Clock()
    sessions = Sessions(api, clock=clock)

    visitor = await sessions.visitor("good")
    clock.now = REMEMBERED_S - 0.1
    await sessions.visitor("good")
    assert visitor
    assert visitor.may_decide
    assert api.asked == ["auth/me"]

    clock.now = REMEMBERED_S + 0.1
    await sessions.visitor("good")
    assert len(api.asked) == 2


async def test_a_forgotten_session_is_asked_for_again_at_once() -> None:
    api = StubApi()
    sessions = Sessions(api, clock=Clock())
    assert await sessions.visitor("good")

    del api.roles["good"]
    sessions.forget("good")

    assert await sessions.visitor("good") is None


@pytest.mark.parametrize("token", [None, "", "unknown"])
async def test_what_is_no_session_is_nobody(token: str | None) -> None:
    assert await Sessions(StubApi()).visitor(token) is None


async def test_an_api_that_does_not_answer_is_not_a_signed_out_visitor() -> None:
    api = StubApi()
    api.answers["auth/me"] = lambda _: problem(503, "Postgres is not reachable.")

    with pytest.raises(ApiProblem, match="Postgres is not reachable"):
        await Sessions(api).visitor("good")


async def test_a_page_of_a_proxy_is_never_shown_as_a_message() -> None:
    api = StubApi()
    api.answers["auth/me"] = lambda _: httpx.Response(500, text="Traceback: password=hunter2")

    with pytest.raises(ApiProblem) as caught:
        await Rest(api("good")).me()

    assert "hunter2" not in str(caught.value)


async def test_an_answer_of_another_shape_is_a_problem_and_not_a_crash() -> None:
    api = StubApi()
    api.answers["auth/me"] = lambda _: httpx.Response(200, text="<html>")

    with pytest.raises(ApiProblem, match="cannot read"):
        await Rest(api("good")).me()


async def test_a_broken_connection_is_a_problem_and_not_a_crash() -> None:
    def fail(request: httpx.Request) -> httpx.Response:
        raise httpx.ConnectError("10.0.0.3:5432 refused", request=request)

    api = StubApi()
    api.answers["auth/me"] = fail

    with pytest.raises(ApiProblem, match="does not answer") as caught:
        await Rest(api("good")).me()

    assert "10.0.0.3" not in str(caught.value)


async def test_only_reviewers_and_admins_are_offered_to_decide() -> None:
    visitor = await Sessions(StubApi()).visitor("viewer")

    assert visitor
    assert not visitor.may_decide


def test_cookies_are_read_by_their_exact_name() -> None:
    assert cookie_in("a=1; mcpbox=t; xmcpbox=u", "mcpbox") == "t"
    assert cookie_in("xmcpbox=u", "mcpbox") is None
    assert cookie_in("", "mcpbox") is None


def test_under_https_the_cookie_is_bound_to_the_host() -> None:
    assert cookie_name(secure=True).startswith("__Host-")
    assert not cookie_name(secure=False).startswith("__")
