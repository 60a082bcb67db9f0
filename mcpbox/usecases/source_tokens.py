"""Tokens for sources, renewed before they end: by one process at a time, for all of them."""

from pydantic import SecretStr

from mcpbox.domain.base import utc_now
from mcpbox.domain.errors import SourceFailed
from mcpbox.domain.hosts import covers
from mcpbox.domain.ids import ServerId, SourceId
from mcpbox.domain.upstreams import HttpEndpoint
from mcpbox.store.changes import Topic, announce
from mcpbox.store.external_sources import get_source
from mcpbox.store.secrets import get_secret_row
from mcpbox.store.session import Sessions, transaction
from mcpbox.upstream import oauth
from mcpbox.upstream.fetching import Fetcher
from mcpbox.upstream.tokens import TokenSet, tokens_in
from mcpbox.vault import Vault


class SourceTokens:
    def __init__(self, sessions: Sessions, vault: Vault) -> None:
        self._sessions = sessions
        self._vault = vault

    async def renewed(self, source_id: SourceId, stale: SecretStr) -> SecretStr:
        """The value of its secret in place of ``stale``, which ends soon or is not taken.

        A token set that somebody renewed meanwhile is taken as it is: a refresh token is often
        good for one use, and used twice it ends all. So whoever renews holds the row meanwhile.
        Raises: SourceFailed: a person has to sign in again; NotFound; Unavailable.
        """
        async with transaction(self._sessions) as session:
            source = await get_source(session, source_id)
            endpoint = source.endpoint
            if not isinstance(endpoint, HttpEndpoint) or endpoint.secret_name is None:
                raise SourceFailed("Nobody signs in at it.")
            server_id = ServerId(source.server_id)
            row = await get_secret_row(session, server_id, endpoint.secret_name)
            value = self._vault.find(server_id, row.name, row.key_id, row.sealed)
            if value is None:
                raise SourceFailed("Its secret has no value that opens here.")
            if value != stale:
                return value
            held = tokens_in(value)
            authority = oauth.authority_of(held.client.token_endpoint)
            if not any(covers(bound_to, authority) for bound_to in row.hosts):
                raise SourceFailed("Its secret may not be sent to the server to sign in at.")
            found = await oauth.renew(Fetcher(allow_private=source.allow_private), held)
            row.sealed = self._vault.seal(server_id, row.name, found.sealed_form)
            row.key_id = self._vault.key_id
            announce(session, Topic.CATALOG, server_id)
            return found.sealed_form


def ends_soon(secret: SecretStr) -> bool:
    """Whether it is to be renewed before it is used. Raises: SourceFailed: it is no token set."""
    tokens: TokenSet = tokens_in(secret)
    return tokens.ends_soon(utc_now())
