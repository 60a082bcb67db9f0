"""Signing in at a source: a person goes there and back, and the tokens become its secret."""

import base64
import binascii
from collections.abc import Callable, Iterable
from datetime import datetime, timedelta

from pydantic import SecretStr, ValidationError

from mcpbox.crypto import CannotOpen, Keyring
from mcpbox.domain.audit import Action
from mcpbox.domain.base import DomainModel, utc_now
from mcpbox.domain.errors import Invalid, Refused
from mcpbox.domain.external_sources import ExternalSource
from mcpbox.domain.hosts import covers
from mcpbox.domain.ids import SourceId
from mcpbox.domain.people import Principal
from mcpbox.domain.upstreams import Authentication, HttpEndpoint
from mcpbox.policies.external_sources import may_reach
from mcpbox.policies.secrets import may_keep_secrets
from mcpbox.store.audit import add_event
from mcpbox.store.external_sources import get_source
from mcpbox.store.grants import granted
from mcpbox.store.secrets import get_secret
from mcpbox.store.session import Sessions, reading, transaction
from mcpbox.store.tables.servers import ServerRow
from mcpbox.upstream import oauth
from mcpbox.upstream.fetching import Fetcher
from mcpbox.usecases.secrets import Secrets

SIGN_IN_TTL = timedelta(minutes=15)
_PURPOSE = "signing in at sources"


class _OnTheWay(DomainModel):
    """Sealed, it is the ``state`` of the sign-in, so no process has to remember it."""

    source_id: SourceId
    pending: oauth.Pending
    until: datetime


class SourceSignIn:
    def __init__(
        self,
        sessions: Sessions,
        secrets: Secrets,
        key: SecretStr,
        *,
        clock: Callable[[], datetime] = utc_now,
    ) -> None:
        """``secrets``: with a vault. ``key``: 64 hexadecimal digits, the same in every process."""
        self._sessions = sessions
        self._secrets = secrets
        self._keyring = Keyring([key], _PURPOSE)
        self._clock = clock

    async def begin(
        self,
        by: Principal,
        source_id: SourceId,
        redirect_uri: str,
        *,
        client_id: str | None = None,
        client_secret: SecretStr | None = None,
    ) -> str:
        """The address to send the person to, who comes back to ``redirect_uri``.

        ``client_id``: of a client that somebody registered there; else we register one.
        Raises: NotFound; Refused: not this person, not this host; Invalid: it needs no sign-in;
        SourceFailed.
        """
        may_keep_secrets(by).require()
        source, endpoint, bound_to = await self._reachable(source_id)
        fetcher = Fetcher(allow_private=source.allow_private)
        resource, scope = await oauth.find_issuer(fetcher, endpoint.url)
        issuer = str(resource.authorization_servers[0])
        _require_bound(endpoint, bound_to, (oauth.authority_of(issuer),))
        desk = await oauth.find_desk(fetcher, endpoint.url, resource, scope)
        _require_bound(endpoint, bound_to, desk.authorities)
        if client_id is None:
            client = await oauth.register(fetcher, desk, redirect_uri)
        else:
            secret = client_secret.get_secret_value() if client_secret else None
            client = oauth.known_client(desk, client_id, secret)
        pending = oauth.pending(desk, client, redirect_uri)
        state = self._sealed(
            by,
            _OnTheWay(source_id=source_id, pending=pending, until=self._clock() + SIGN_IN_TTL),
        )
        return oauth.address(desk, pending, state)

    async def finish(
        self, by: Principal, state: str, code: str, iss: str | None = None
    ) -> ExternalSource:
        """Keeps the tokens as the value of the source's secret, where they are never shown.

        Raises: Refused; Invalid: not what we began with this person, or too late; SourceFailed.
        """
        may_keep_secrets(by).require()
        on_the_way = self._opened(by, state)
        source, endpoint, bound_to = await self._reachable(on_the_way.source_id)
        client = on_the_way.pending.client
        _require_bound(endpoint, bound_to, (oauth.authority_of(client.token_endpoint),))
        fetcher = Fetcher(allow_private=source.allow_private)
        tokens = await oauth.exchange(fetcher, on_the_way.pending, code, iss)
        await self._secrets.set_value(
            by, source.server_id, _secret_name(endpoint), tokens.sealed_form
        )
        async with transaction(self._sessions) as session:
            add_event(
                session,
                actor=by.label,
                action=Action.SOURCE_SIGNED_IN,
                subject=f"server:{source.server_id}",
                detail=source.server_name,
                facts={"source_id": str(source.id), "issuer": client.issuer},
            )
            return await get_source(session, source.id)

    async def _reachable(
        self, source_id: SourceId
    ) -> tuple[ExternalSource, HttpEndpoint, tuple[str, ...]]:
        """With the hosts that its secret may be sent to. Raises: NotFound; Refused; Invalid."""
        async with reading(self._sessions) as session:
            source = await get_source(session, source_id)
            endpoint = source.endpoint
            if (
                not isinstance(endpoint, HttpEndpoint)
                or endpoint.authentication is not Authentication.OAUTH
            ):
                raise Invalid("Nobody signs in at this source: it does not ask for OAuth.")
            name = _secret_name(endpoint)
            secret = await get_secret(session, source.server_id, name)
            server = await session.get_one(ServerRow, source.server_id)
            may_reach(
                endpoint,
                await granted(session, source.server_id),
                [name],
                self._clock(),
                allow_private=source.allow_private,
                quarantined=server.quarantined_at is not None,
            ).require()
        _require_bound(endpoint, secret.hosts, endpoint.manifest.hosts)
        return source, endpoint, secret.hosts

    def _sealed(self, by: Principal, on_the_way: _OnTheWay) -> str:
        sealed = self._keyring.seal(on_the_way.model_dump_json().encode(), _place(by))
        return base64.urlsafe_b64encode(sealed).rstrip(b"=").decode()

    def _opened(self, by: Principal, state: str) -> _OnTheWay:
        """Raises: Invalid."""
        try:
            sealed = base64.urlsafe_b64decode(state + "=" * (-len(state) % 4))
            plain = self._keyring.open(self._keyring.key_id, sealed, _place(by))
            found = _OnTheWay.model_validate_json(plain)
        except (CannotOpen, binascii.Error, ValidationError, ValueError) as error:
            raise Invalid("You did not begin this sign-in here; begin it again.") from error
        if found.until < self._clock():
            raise Invalid("This sign-in took too long; begin it again.")
        return found


def _place(by: Principal) -> bytes:
    """Whoever began ends it: nobody is led to a sign-in of somebody else."""
    return f"sign-in/{by.label}".encode()


def _secret_name(endpoint: HttpEndpoint) -> str:
    """Raises: Invalid."""
    if endpoint.secret_name is None:
        raise Invalid("This source names no secret.")
    return endpoint.secret_name


def _require_bound(
    endpoint: HttpEndpoint, bound_to: Iterable[str], authorities: Iterable[str]
) -> None:
    """Tokens are a secret's value, and that is sent to its hosts alone. Raises: Refused."""
    bound = tuple(bound_to)
    missing = [one for one in authorities if not any(covers(host, one) for host in bound)]
    if missing:
        hosts = sorted({*bound, *missing})
        raise Refused(
            f"People sign in for this source at {', '.join(missing)}, which the secret "
            f"{endpoint.secret_name!r} may not be sent to. Delete the secret, make it again for "
            f"the hosts {', '.join(hosts)}, and ask again that the server may use it."
        )
