"""Signing in at a source, as its client: where, as whom, and tokens for it alone.

Source: MCP specification 2025-11-25, "Authorization"; RFC 6749, 7591, 7636, 8414, 8707, 9207, 9728.
"""

import base64
import hashlib
import json
import secrets
from collections.abc import Mapping
from datetime import timedelta
from typing import Any, TypeVar
from urllib.parse import quote, urlencode, urlsplit

from mcp.client.auth.utils import (
    build_oauth_authorization_server_metadata_discovery_urls,
    build_protected_resource_metadata_discovery_urls,
    extract_resource_metadata_from_www_auth,
    extract_scope_from_www_auth,
    get_client_metadata_scopes,
)
from mcp.shared.auth import (
    OAuthClientInformationFull,
    OAuthMetadata,
    OAuthToken,
    ProtectedResourceMetadata,
)
from mcp.shared.auth_utils import check_resource_allowed
from pydantic import AnyHttpUrl, BaseModel, ValidationError

from mcpbox.domain.base import DomainModel, utc_now
from mcpbox.domain.errors import Invalid, SourceFailed
from mcpbox.domain.hosts import HostAccess
from mcpbox.upstream.fetching import Fetcher, json_of
from mcpbox.upstream.tokens import SignInClient, TokenSet

_GRANTS = ["authorization_code", "refresh_token"]
_FORM = {"content-type": "application/x-www-form-urlencoded"}
_JSON = {"content-type": "application/json"}
Document = TypeVar("Document", bound=BaseModel)
_PROBE = json.dumps({"jsonrpc": "2.0", "id": 1, "method": "ping"}).encode()


class Desk(DomainModel):
    """Where people sign in for a source."""

    issuer: str
    authorization_endpoint: str
    token_endpoint: str
    registration_endpoint: str | None = None
    resource: str
    scope: str | None = None
    names_itself: bool = False
    """In what it answers people with. Source: RFC 9207."""
    secret_in_body: bool = False

    @property
    def authorities(self) -> tuple[str, ...]:
        """All that we send something to, as ``host[:port]``; sorted."""
        urls = (self.issuer, self.token_endpoint, self.registration_endpoint)
        return tuple(sorted({authority_of(url) for url in urls if url}))


class Pending(DomainModel):
    """Somebody is on their way to sign in; it comes back with them, sealed."""

    client: SignInClient
    redirect_uri: str
    verifier: str
    names_itself: bool


async def find_issuer(fetcher: Fetcher, url: str) -> tuple[ProtectedResourceMetadata, str | None]:
    """What a source says of itself, and the scope that it asks for. Raises: SourceFailed."""
    challenge = await fetcher.ask("POST", url, headers=_JSON, body=_PROBE)
    named = extract_resource_metadata_from_www_auth(challenge)
    if named is not None and _origin(named) != _origin(url):
        raise SourceFailed("It says at another server where people sign in.")
    for where in build_protected_resource_metadata_discovery_urls(named, url):
        found = await _document(fetcher, where, ProtectedResourceMetadata)
        if found is None:
            continue
        if not check_resource_allowed(url, str(found.resource)):
            raise SourceFailed("It says where people sign in for another source.")
        return found, extract_scope_from_www_auth(challenge)
    raise SourceFailed("It does not say where people sign in (RFC 9728).")


async def find_desk(
    fetcher: Fetcher, url: str, resource: ProtectedResourceMetadata, scope: str | None
) -> Desk:
    """Raises: SourceFailed."""
    issuer = str(resource.authorization_servers[0])
    for where in build_oauth_authorization_server_metadata_discovery_urls(issuer, url):
        found = await _document(fetcher, where, OAuthMetadata)
        if found is None:
            continue
        if str(found.issuer).rstrip("/") != issuer.rstrip("/"):
            raise SourceFailed("The server to sign in at says that it is another one.")
        if "S256" not in (found.code_challenge_methods_supported or ()):
            raise SourceFailed("The server to sign in at does not know PKCE with S256.")
        methods = found.token_endpoint_auth_methods_supported or ["client_secret_basic"]
        return Desk(
            issuer=str(found.issuer),
            authorization_endpoint=str(found.authorization_endpoint),
            token_endpoint=str(found.token_endpoint),
            registration_endpoint=_text(found.registration_endpoint),
            resource=str(resource.resource),
            scope=get_client_metadata_scopes(scope, resource, found, _GRANTS),
            names_itself=bool(found.authorization_response_iss_parameter_supported),
            secret_in_body="client_secret_basic" not in methods,
        )
    raise SourceFailed("The server to sign in at does not say how (RFC 8414).")


async def register(fetcher: Fetcher, desk: Desk, redirect_uri: str) -> SignInClient:
    """As a client that has no secret, unless it is given one. Raises: SourceFailed."""
    if desk.registration_endpoint is None:
        raise SourceFailed(
            "The server to sign in at registers nobody by itself: register a client there, with "
            f"the redirect address {redirect_uri}, and give its client id."
        )
    asked: dict[str, Any] = {
        "client_name": "MCPbox",
        "redirect_uris": [redirect_uri],
        "grant_types": _GRANTS,
        "response_types": ["code"],
        "token_endpoint_auth_method": "none",
        "application_type": "web" if redirect_uri.startswith("https:") else "native",
    }
    if desk.scope:
        asked["scope"] = desk.scope
    answer = await fetcher.ask(
        "POST", desk.registration_endpoint, headers=_JSON, body=json.dumps(asked).encode()
    )
    given = _read(json_of(answer), OAuthClientInformationFull)
    if answer.status_code not in (200, 201) or given is None or not given.client_id:
        raise SourceFailed(
            f"The server to sign in at does not register us (HTTP status {answer.status_code}); "
            "register a client there and give its client id."
        )
    method = given.token_endpoint_auth_method
    return known_client(
        desk,
        given.client_id,
        None if method == "none" else given.client_secret,
        secret_in_body=method == "client_secret_post",
    )


def known_client(
    desk: Desk, client_id: str, client_secret: str | None, *, secret_in_body: bool | None = None
) -> SignInClient:
    return SignInClient(
        issuer=desk.issuer,
        token_endpoint=desk.token_endpoint,
        client_id=client_id,
        client_secret=client_secret,
        secret_in_body=desk.secret_in_body if secret_in_body is None else secret_in_body,
        resource=desk.resource,
    )


def pending(desk: Desk, client: SignInClient, redirect_uri: str) -> Pending:
    return Pending(
        client=client,
        redirect_uri=redirect_uri,
        verifier=secrets.token_urlsafe(48),
        names_itself=desk.names_itself,
    )


def address(desk: Desk, pending: Pending, state: str) -> str:
    """Where whoever signs in is sent."""
    digest = hashlib.sha256(pending.verifier.encode()).digest()
    query = {
        "response_type": "code",
        "client_id": pending.client.client_id,
        "redirect_uri": pending.redirect_uri,
        "state": state,
        "code_challenge": base64.urlsafe_b64encode(digest).rstrip(b"=").decode(),
        "code_challenge_method": "S256",
        "resource": desk.resource,
    }
    if desk.scope:
        query["scope"] = desk.scope
        if "offline_access" in desk.scope.split():
            query["prompt"] = "consent"  # OpenID Connect Core §11: else it is ignored
    joint = "&" if urlsplit(desk.authorization_endpoint).query else "?"
    return desk.authorization_endpoint + joint + urlencode(query)


async def exchange(fetcher: Fetcher, pending: Pending, code: str, iss: str | None) -> TokenSet:
    """Raises: SourceFailed."""
    if (iss is None and pending.names_itself) or iss not in (None, pending.client.issuer):
        raise SourceFailed("Another server than the one to sign in at answered.")
    return await _tokens(
        fetcher,
        pending.client,
        {
            "grant_type": "authorization_code",
            "code": code,
            "redirect_uri": pending.redirect_uri,
            "code_verifier": pending.verifier,
        },
    )


async def renew(fetcher: Fetcher, held: TokenSet) -> TokenSet:
    """Raises: SourceFailed: somebody has to sign in again."""
    if held.refresh_token is None:
        raise SourceFailed("Its sign-in has ended; a person signs in again, in the panel.")
    given = {"grant_type": "refresh_token", "refresh_token": held.refresh_token}
    found = await _tokens(fetcher, held.client, given)
    return found.model_copy(
        update={
            "refresh_token": found.refresh_token or held.refresh_token,
            "scope": found.scope or held.scope,
        }
    )


async def _tokens(fetcher: Fetcher, client: SignInClient, form: Mapping[str, str]) -> TokenSet:
    """Raises: SourceFailed."""
    fields = {**form, "resource": client.resource}
    headers = dict(_FORM)
    if client.client_secret is None or client.secret_in_body:
        fields["client_id"] = client.client_id
    if client.client_secret is not None:
        if client.secret_in_body:
            fields["client_secret"] = client.client_secret
        else:
            # RFC 6749 §2.3.1: both are form-encoded before they are joined.
            pair = f"{quote(client.client_id, safe='')}:{quote(client.client_secret, safe='')}"
            headers["authorization"] = f"Basic {base64.b64encode(pair.encode()).decode()}"
    answer = await fetcher.ask(
        "POST", client.token_endpoint, headers=headers, body=urlencode(fields).encode()
    )
    found = _read(json_of(answer), OAuthToken)
    if answer.status_code != 200 or found is None:
        raise SourceFailed(
            "The server to sign in at gives no token (HTTP status "
            f"{answer.status_code}); a person signs in again, in the panel."
        )
    lasts = None if found.expires_in is None else timedelta(seconds=found.expires_in)
    return TokenSet(
        client=client,
        access_token=found.access_token,
        refresh_token=found.refresh_token,
        expires_at=None if lasts is None else utc_now() + lasts,
        scope=found.scope,
    )


async def _document(fetcher: Fetcher, url: str, kind: type[Document]) -> Document | None:
    """``None``: there is none here. Raises: SourceFailed."""
    answer = await fetcher.ask("GET", url)
    return _read(json_of(answer), kind) if answer.status_code == 200 else None


def _read(given: dict[str, Any], kind: type[Document]) -> Document | None:
    try:
        return kind.model_validate(given)
    except ValidationError:
        return None


def authority_of(url: str) -> str:
    """``host[:port]``, as secrets are bound to it. Raises: SourceFailed: it is none of a host."""
    try:
        parts = urlsplit(url)
        standard = {"https": 443, "http": 80}.get(parts.scheme)
        port = None if parts.port == standard else parts.port
        return HostAccess(host=parts.hostname or "", port=port).authority
    except (ValueError, Invalid) as error:
        raise SourceFailed("It names an address to sign in at that has no usable host.") from error


def _text(url: AnyHttpUrl | None) -> str | None:
    return None if url is None else str(url)


def _origin(url: str) -> tuple[str, str]:
    authority = authority_of(url)
    return urlsplit(url).scheme, authority
