"""Signing in and out: plain forms, one cookie, and the token stays out of NiceGUI."""

from urllib.parse import parse_qs

from fastapi import APIRouter, Request
from nicegui import Client
from starlette.responses import RedirectResponse, Response

from ui.guard import LOGIN
from ui.plain import SCHEME_COOKIE, login_page, message_page
from ui.problems import ApiProblem
from ui.rest import Rest, Session
from ui.sessions import Api, Sessions

_FORM_MAX_BYTES = 8192
_FORM = "application/x-www-form-urlencoded"


def login_routes(api: Api, sessions: Sessions, *, cookie: str, secure: bool) -> APIRouter:
    """``/login`` is public, ``/logout`` is not; the guard has checked the origin of both."""
    router = APIRouter(include_in_schema=False)

    @router.get(LOGIN)
    async def show(request: Request) -> Response:
        scheme = request.cookies.get(SCHEME_COOKIE)
        try:
            visitor = await sessions.visitor(request.cookies.get(cookie))
        except ApiProblem as problem:
            return message_page(
                problem.title, problem.detail, status=503, way=("Try again", LOGIN), scheme=scheme
            )
        return RedirectResponse("/", status_code=303) if visitor else login_page(scheme=scheme)

    @router.post(LOGIN)
    async def sign_in(request: Request) -> Response:
        scheme = request.cookies.get(SCHEME_COOKIE)
        username, password = await _credentials(request)
        if not username or not password:
            error = "Type your user name and your password."
            return login_page(error=error, username=username, status=422, scheme=scheme)
        async with api(None) as client:
            try:
                session = await Rest(client).login(username, password)
            except ApiProblem as problem:
                return login_page(
                    error=_in_words(problem),
                    username=username,
                    status=problem.status,
                    scheme=scheme,
                )
        return _with_session(session)

    @router.post("/logout")
    async def sign_out(request: Request) -> Response:
        token = request.cookies.get(cookie, "")
        async with api(token) as client:
            try:
                await Rest(client).logout()
            except ApiProblem as problem:
                if problem.status != 401:  # not revoked: say so instead of pretending
                    return message_page(
                        problem.title, problem.detail, status=503, way=("Back", "/")
                    )
        sessions.forget(token)
        _send_tabs_away(token, cookie)
        response = RedirectResponse(LOGIN, status_code=303)
        response.delete_cookie(cookie, path="/", secure=secure, httponly=True, samesite="strict")
        return response

    def _with_session(session: Session) -> Response:
        response = RedirectResponse("/", status_code=303)
        response.set_cookie(
            cookie,
            session.access_token,
            max_age=session.expires_in,
            path="/",
            secure=secure,
            httponly=True,
            samesite="strict",
        )
        return response

    return router


async def _credentials(request: Request) -> tuple[str, str]:
    """Empty where the form is not one of ours."""
    if not request.headers.get("content-type", "").startswith(_FORM):
        return "", ""
    body = b""
    async for chunk in request.stream():
        body += chunk
        if len(body) > _FORM_MAX_BYTES:
            return "", ""
    try:
        form = parse_qs(body.decode(), strict_parsing=False, max_num_fields=10)
    except ValueError:
        return "", ""
    return form.get("username", [""])[0].strip(), form.get("password", [""])[0]


def _in_words(problem: ApiProblem) -> str:
    if problem.status == 401:
        return "The user name or the password is wrong."
    if problem.status == 429:
        return f"Too many attempts. {problem.detail}"
    return f"{problem.title}. {problem.detail}"


def _send_tabs_away(token: str, cookie: str) -> None:
    for client in list(Client.instances.values()):
        if client.request.cookies.get(cookie) == token:
            client.open(LOGIN)
