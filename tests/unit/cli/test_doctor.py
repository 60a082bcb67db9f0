"""What ``mcpbox doctor`` says of how clients come in."""

import pytest
from pydantic import SecretStr

from cli.doctor import Verdict, way_in
from mcpbox.domain.errors import Unavailable
from mcpbox.settings import Settings
from tests.service.gateway.provider_twin import AUDIENCE, local_provider

SOMEBODY = ("ana@example.org=ana",)


def test_the_provider_is_asked_for_its_keys() -> None:
    with local_provider() as provider:
        settings = Settings(
            oidc_issuer=provider.issuer, oidc_audience=AUDIENCE, identities=SOMEBODY
        )
        check = way_in(settings)
        provider.away = True

        with pytest.raises(Unavailable, match="sign in with"):
            way_in(settings)

    assert check.state is Verdict.OK
    assert provider.issuer in check.what


def test_a_tunnel_is_named() -> None:
    check = way_in(Settings(service_token=SecretStr("s" * 32), identities=SOMEBODY))

    assert check.what == "come through a tunnel that proves itself with MCPBOX_SERVICE_TOKEN"
