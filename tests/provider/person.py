"""A person at the provider's pages, and the SDK's own client that sends them there."""

import re
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from urllib.parse import parse_qs, urlsplit

import httpx
import httpx2
from mcp import Client
from mcp.client.auth import AuthorizationCodeResult, OAuthClientProvider, TokenStorage
from mcp.client.streamable_http import streamable_http_client
from mcp.shared.auth import OAuthClientInformationFull, OAuthClientMetadata, OAuthToken
from pydantic import AnyUrl

CALLBACK = "http://127.0.0.1:9/callback"
_FORM = re.compile(r'<form[^>]* action="([^"]+)"')
_PAGES_MAX = 20


class InMemoryStorage(TokenStorage):
    def __init__(self) -> None:
        self.tokens: OAuthToken | None = None
        self.client: OAuthClientInformationFull | None = None

    async def get_tokens(self) -> OAuthToken | None:
        return self.tokens

    async def set_tokens(self, tokens: OAuthToken) -> None:
        self.tokens = tokens

    async def get_client_info(self) -> OAuthClientInformationFull | None:
        return self.client

    async def set_client_info(self, client_info: OAuthClientInformationFull) -> None:
        self.client = client_info


class Person:
    def __init__(self, name: str) -> None:
        self.name = name
        self.storage = InMemoryStorage()
        self.asked_for: dict[str, list[str]] = {}
        """What the client sent the person to the provider with."""
        self._arrived = ""

    async def sign_in(self, address: str) -> None:
        """Through the pages of the provider, until it sends them back to their client."""
        self.asked_for = parse_qs(urlsplit(address).query)
        async with httpx.AsyncClient(follow_redirects=False) as http:
            answer = await http.get(address)
            for _ in range(_PAGES_MAX):
                where = answer.headers.get("location")
                if where is not None and where.startswith(CALLBACK):
                    self._arrived = where
                    return
                if where is not None:
                    answer = await http.get(str(answer.url.join(where)))
                    continue
                form = _FORM.search(answer.text)
                assert form is not None, answer.text
                prompt = "login" if 'name="login"' in answer.text else "consent"
                answer = await http.post(
                    str(answer.url.join(form[1])),
                    data={"prompt": prompt, "login": self.name, "password": "anything"},
                )
        raise AssertionError("the provider sends people from page to page")

    async def come_back(self) -> AuthorizationCodeResult:
        query = parse_qs(urlsplit(self._arrived).query)
        [code], [state] = query["code"], query["state"]
        return AuthorizationCodeResult(code=code, state=state, iss=query.get("iss", [None])[0])


@asynccontextmanager
async def client_of(person: Person, url: str, era: str) -> AsyncGenerator[Client]:
    """Knows the address of the gateway and nothing else."""
    signing_in = OAuthClientProvider(
        url,
        OAuthClientMetadata(
            client_name="test",
            redirect_uris=[AnyUrl(CALLBACK)],
            token_endpoint_auth_method="none",
        ),
        person.storage,
        redirect_handler=person.sign_in,
        callback_handler=person.come_back,
    )
    async with (
        httpx2.AsyncClient(auth=signing_in, timeout=30) as http,
        Client(streamable_http_client(url, http_client=http), mode=era) as client,
    ):
        yield client
