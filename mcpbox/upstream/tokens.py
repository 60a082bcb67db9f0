"""What signing in at a source gave: kept as the value of its secret, so sealed and bound as one."""

from datetime import datetime, timedelta

from pydantic import SecretStr, ValidationError

from mcpbox.domain.base import DomainModel
from mcpbox.domain.errors import SourceFailed
from mcpbox.domain.upstreams import Authentication, HttpEndpoint

_EARLY = timedelta(seconds=60)


class SignInClient(DomainModel):
    """Who we are to the server that people sign in at, and where tokens come from."""

    issuer: str
    token_endpoint: str
    client_id: str
    client_secret: str | None = None
    secret_in_body: bool = False
    """Else in the header ``Authorization``."""
    resource: str
    """Whom the tokens are for. Source: RFC 8707."""


class TokenSet(DomainModel):
    client: SignInClient
    access_token: str
    refresh_token: str | None = None
    expires_at: datetime | None = None
    scope: str | None = None

    def ends_soon(self, now: datetime) -> bool:
        return self.expires_at is not None and self.expires_at - now < _EARLY

    @property
    def sealed_form(self) -> SecretStr:
        return SecretStr(self.model_dump_json(exclude_none=True))


def tokens_in(secret: SecretStr) -> TokenSet:
    """Raises: SourceFailed: a person typed something else."""
    try:
        return TokenSet.model_validate_json(secret.get_secret_value())
    except ValidationError:
        raise SourceFailed(
            "Nobody is signed in at it: a person does that in the panel, on the page of the source."
        ) from None


def proof_in(endpoint: HttpEndpoint, secret: SecretStr) -> str:
    """What of the value is sent. Raises: SourceFailed."""
    if endpoint.authentication is Authentication.OAUTH:
        return tokens_in(secret).access_token
    return secret.get_secret_value().strip()


def values_in(endpoint: HttpEndpoint, secret: SecretStr) -> tuple[str, ...]:
    """All of it that nobody may be told."""
    value = secret.get_secret_value()
    if endpoint.authentication is not Authentication.OAUTH:
        return (value,)
    try:
        found = TokenSet.model_validate_json(value)
    except ValidationError:
        return (value,)
    parts = (found.access_token, found.refresh_token, found.client.client_secret)
    return tuple(part for part in parts if part)
