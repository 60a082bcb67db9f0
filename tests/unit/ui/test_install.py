"""The panel as installed, over ASGI; what a browser sees is in the end-to-end tests."""

from collections.abc import AsyncGenerator

import httpx
import pytest
import pytest_asyncio
from fastapi import FastAPI
from fastapi.responses import JSONResponse

from tests.unit.ui.stub_api import StubApi, json_answer, problem
from ui.app import install
from ui.live import Live

ORIGIN = "http://panel.example"
RIGHT = "hunter2"
PAGE = {"accept": "text/html"}


@pytest.fixture(scope="session")
def api() -> StubApi:
    return StubApi()


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def panel(api: StubApi) -> AsyncGenerator[FastAPI]:
    """NiceGUI is one per process, and so is this."""
    app = FastAPI()

    @app.get("/api/{rest:path}")
    async def nothing_here(rest: str) -> JSONResponse:
        return JSONResponse({"status": 404, "detail": rest}, status_code=404)

    install(
        app,
        api=api,
        live=Live(),
        allowed_hosts=frozenset({"panel.example"}),
        storage_secret="0123456789abcdef",
        secure_cookie=False,
    )
    async with app.router.lifespan_context(app):
        yield app


@pytest.fixture
async def browser(panel: FastAPI, api: StubApi) -> AsyncGenerator[httpx.AsyncClient]:
    api.roles["good"] = ["reviewer"]
    api.answers.clear()
    transport = httpx.ASGITransport(panel, raise_app_exceptions=False)
    async with httpx.AsyncClient(transport=transport, base_url=ORIGIN, headers=PAGE) as client:
        yield client


async def sign_in(browser: httpx.AsyncClient, password: str = RIGHT) -> httpx.Response:
    form = {"username": "ana", "password": password}
    return await browser.post("/login", data=form, headers={"origin": ORIGIN})


async def test_an_unknown_route_of_the_api_is_still_answered_by_the_api(
    browser: httpx.AsyncClient,
) -> None:
    answer = await browser.get("/api/nope")

    assert (answer.status_code, answer.json()["detail"]) == (404, "nope")


async def test_signing_in_sets_one_cookie_that_scripts_cannot_read(
    browser: httpx.AsyncClient,
) -> None:
    answer = await sign_in(browser)

    (cookie,) = [c for c in answer.headers.get_list("set-cookie") if "good" in c]
    assert (answer.status_code, answer.headers["location"]) == (303, "/")
    assert cookie.startswith("mcpbox=good;")
    assert "HttpOnly" in cookie
    assert "SameSite=strict" in cookie
    assert "Secure" not in cookie


async def test_a_wrong_password_shows_the_form_again_with_the_reason(
    browser: httpx.AsyncClient,
) -> None:
    answer = await sign_in(browser, "wrong<script>")

    assert answer.status_code == 401
    assert "The user name or the password is wrong." in answer.text
    assert 'value="ana"' in answer.text
    assert "wrong<script>" not in answer.text


async def test_too_many_attempts_are_told_as_such(browser: httpx.AsyncClient, api: StubApi) -> None:
    api.answers["auth/login"] = lambda _: problem(429, "Wait 30 seconds.")

    answer = await sign_in(browser)

    assert answer.status_code == 429
    assert "Too many attempts. Wait 30 seconds." in answer.text


async def test_what_is_typed_into_the_form_never_becomes_markup(
    browser: httpx.AsyncClient,
) -> None:
    form = {"username": '"><script>alert(1)</script>', "password": "x"}
    answer = await browser.post("/login", data=form, headers={"origin": ORIGIN})

    assert "<script" not in answer.text
    assert "script-src" not in answer.headers["content-security-policy"]


async def test_signing_out_revokes_the_session_and_clears_the_cookie(
    browser: httpx.AsyncClient, api: StubApi
) -> None:
    await sign_in(browser)
    assert (await browser.get("/tools")).status_code == 200

    answer = await browser.post("/logout", headers={"origin": ORIGIN})

    assert answer.headers["location"] == "/login"
    assert "good" not in api.roles
    browser.cookies.set("mcpbox", "good")  # a copy that somebody kept
    assert (await browser.get("/tools")).headers["location"] == "/login"


async def test_signing_out_from_another_site_does_nothing(
    browser: httpx.AsyncClient, api: StubApi
) -> None:
    await sign_in(browser)

    answer = await browser.post("/logout", headers={"origin": "https://evil.example"})

    assert answer.status_code == 403
    assert "good" in api.roles


async def test_pages_carry_no_token(browser: httpx.AsyncClient, api: StubApi) -> None:
    api.roles["secret-token"] = ["admin"]
    browser.cookies.set("mcpbox", "secret-token")

    answer = await browser.get("/tools")

    assert answer.status_code == 200
    assert "secret-token" not in answer.text


async def test_a_page_that_fails_says_so_without_the_exception(
    browser: httpx.AsyncClient, api: StubApi
) -> None:
    def fail(_: httpx.Request) -> httpx.Response:
        raise RuntimeError("postgresql://mcpbox:hunter2@db")

    await sign_in(browser)
    api.answers["tools"] = fail

    answer = await browser.get("/tools")

    assert answer.status_code == 500
    assert "This page could not be built" in answer.text
    assert "hunter2" not in answer.text
    assert "RuntimeError" not in answer.text


async def test_a_problem_of_the_api_is_told_inside_the_page(
    browser: httpx.AsyncClient, api: StubApi
) -> None:
    await sign_in(browser)
    api.answers["tools"] = lambda _: problem(503, "Postgres is not reachable.")

    answer = await browser.get("/tools")

    assert answer.status_code == 503
    assert "Postgres is not reachable." in answer.text
    assert "Approvals" in answer.text


async def test_an_unknown_address_is_a_page_of_ours(browser: httpx.AsyncClient) -> None:
    await sign_in(browser)

    answer = await browser.get("/nowhere")

    assert answer.status_code == 404
    assert "There is nothing at this address" in answer.text
    assert answer.headers["x-frame-options"] == "DENY"


@pytest.mark.parametrize("path", ["/tools/nonsense", "/servers/%2e%2e%2fx", "/executions/1"])
async def test_an_id_that_is_none_is_not_found(browser: httpx.AsyncClient, path: str) -> None:
    await sign_in(browser)

    assert (await browser.get(path)).status_code == 404


@pytest.mark.parametrize("path", ["/", "/approvals", "/_nicegui/auto/x", "/anything"])
async def test_nothing_of_nicegui_answers_a_stranger(browser: httpx.AsyncClient, path: str) -> None:
    answer = await browser.get(path)

    assert (answer.status_code, answer.headers["location"]) == (303, "/login")


async def test_the_first_page_warns_of_a_layer_that_the_sandbox_lacks(
    browser: httpx.AsyncClient, api: StubApi
) -> None:
    why = "The layer cgroup is inactive. Delegate it."
    sandbox = {"name": "Sandbox", "state": "ok", "detail": "isolation full", "warnings": [why]}
    counts = ("awaiting_decision", "servers_running", "servers_total", "tools_released")
    numbers = {
        **dict.fromkeys((*counts, "tools_total", "calls", "calls_failed"), 0),
        **dict.fromkeys(("call_p50_ms", "call_p99_ms")),
        **dict.fromkeys(("calls_by_hour", "failures_by_hour"), [0] * 24),
    }
    api.answers["system"] = lambda _: json_answer({"services": [sandbox]})
    api.answers["overview"] = lambda _: json_answer(numbers)
    await sign_in(browser)

    page = await browser.get("/")

    assert why in page.text
