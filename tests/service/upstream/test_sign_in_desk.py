"""Where people sign in for a source, as it and its server say: not all of it is believed."""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, RedirectResponse, Response
from starlette.routing import Route

from mcpbox.domain.errors import SourceFailed
from mcpbox.upstream.fetching import Fetcher
from mcpbox.upstream.oauth import Desk, find_desk, find_issuer, register
from tests.mcp_sources import served

CALLBACK = "https://panel.example.com/callback"


class Town:
    """A source and the server to sign in at, on one socket; a test changes what they say."""

    def __init__(self) -> None:
        self.address = ""
        self.challenge: str | None = None
        self.resource: dict[str, Any] = {}
        self.metadata: dict[str, Any] = {}
        self.asked: list[str] = []

    async def answer(self, request: Request) -> Response:
        path = request.url.path
        self.asked.append(path)
        if path == "/mcp":
            headers = {"www-authenticate": self.challenge} if self.challenge else {}
            return Response(status_code=401, headers=headers)
        if path == "/.well-known/oauth-protected-resource/mcp":
            said = {"resource": f"{self.address}/mcp", "authorization_servers": [self.address]}
            return JSONResponse(said | self.resource)
        if path == "/.well-known/oauth-authorization-server":
            said = {
                "issuer": self.address,
                "authorization_endpoint": f"{self.address}/auth",
                "token_endpoint": f"{self.address}/token",
                "registration_endpoint": f"{self.address}/register",
                "code_challenge_methods_supported": ["S256"],
            }
            return JSONResponse(said | self.metadata)
        if path == "/register":
            return RedirectResponse("/elsewhere", 307)
        return Response(status_code=404)

    async def desk(self, *, allow_private: bool = True) -> Desk:
        fetcher = Fetcher(allow_private=allow_private)
        url = f"{self.address}/mcp"
        resource, scope = await find_issuer(fetcher, url)
        return await find_desk(fetcher, url, resource, scope)


@asynccontextmanager
async def a_town() -> AsyncGenerator[Town]:
    town = Town()
    app = Starlette(routes=[Route("/{path:path}", town.answer, methods=["GET", "POST"])])
    async with served(app) as town.address:
        yield town


async def test_a_desk_is_found_by_the_address_of_the_source_alone() -> None:
    async with a_town() as town:
        town.challenge = 'Bearer scope="tools:call"'
        desk = await town.desk()

        assert desk.issuer == town.address
        assert desk.resource == f"{town.address}/mcp"
        assert desk.scope == "tools:call"
        assert desk.authorities == (town.address.removeprefix("http://"),)


async def test_without_consent_nobody_signs_in_where_there_is_no_tls() -> None:
    async with a_town() as town:
        with pytest.raises(SourceFailed, match="not https"):
            await town.desk(allow_private=False)
        assert town.asked == []


@pytest.mark.parametrize(
    ("what", "says", "told"),
    [
        ("challenge", 'Bearer resource_metadata="https://evil.example.com/x"', "at another server"),
        ("challenge", 'Bearer resource_metadata="http://[::1"', "no usable host"),
        ("resource", {"resource": "https://bank.example.com/mcp"}, "for another source"),
        ("resource", {"authorization_servers": []}, "does not say where"),
        ("metadata", {"issuer": "https://evil.example.com"}, "is another one"),
        ("metadata", {"code_challenge_methods_supported": ["plain"]}, "PKCE"),
        ("metadata", {"token_endpoint": "not an address"}, "does not say how"),
    ],
)
async def test_what_does_not_fit_together_is_not_believed(what: str, says: Any, told: str) -> None:
    async with a_town() as town:
        setattr(town, what, says)
        with pytest.raises(SourceFailed, match=told) as caught:
            await town.desk()
    assert "evil" not in str(caught.value)


async def test_registering_follows_no_redirect() -> None:
    async with a_town() as town:
        desk = await town.desk()
        with pytest.raises(SourceFailed, match="does not register us"):
            await register(Fetcher(allow_private=True), desk, CALLBACK)
        assert "/elsewhere" not in town.asked
