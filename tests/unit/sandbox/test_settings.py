from pathlib import Path

import pytest
from pydantic import ValidationError

from sandbox.hosts import HostGrant
from sandbox.settings import Settings
from tests.receipts import SIGNER

KEY = "0123456789abcdef0123456789abcdef"


@pytest.fixture(autouse=True)
def environment(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    for name in ("SOCKET", "BIND", "API_KEY", "RECEIPT_KEYS", "REQUIRE", "PRIVATE_HOSTS"):
        monkeypatch.delenv(f"MCPBOX_SANDBOX_{name}", raising=False)
    monkeypatch.setenv("MCPBOX_SANDBOX_API_KEY", KEY)
    monkeypatch.setenv("MCPBOX_SANDBOX_RECEIPT_KEYS", SIGNER.public_key)
    return monkeypatch


def read() -> Settings:
    return Settings()  # pyright: ignore[reportCallIssue]  the environment has the rest


def test_lists_are_comma_separated(environment: pytest.MonkeyPatch) -> None:
    environment.setenv("MCPBOX_SANDBOX_SOCKET", "/run/sandbox.sock")
    environment.setenv("MCPBOX_SANDBOX_REQUIRE", "seccomp, landlock")
    environment.setenv("MCPBOX_SANDBOX_PRIVATE_HOSTS", "nas, [::1]:8080,")

    settings = read()

    assert settings.socket == Path("/run/sandbox.sock")
    assert settings.require == {"seccomp", "landlock"}
    assert settings.private_hosts == (HostGrant("nas", None), HostGrant("::1", 8080))
    assert (settings.pool_size, settings.max_running, settings.max_waiting) == (4, 8, 128)


def test_nothing_is_required_or_private_by_default(environment: pytest.MonkeyPatch) -> None:
    environment.setenv("MCPBOX_SANDBOX_BIND", "127.0.0.1:8003")

    assert read().require == frozenset()
    assert read().private_hosts == ()


@pytest.mark.parametrize("address", ["8003", ":8003", "host", "host:0", "host:70000", "host:x"])
def test_an_address_needs_host_and_port(environment: pytest.MonkeyPatch, address: str) -> None:
    environment.setenv("MCPBOX_SANDBOX_BIND", address)

    with pytest.raises(ValidationError, match="host:port"):
        read()


def test_the_key_is_not_shown(environment: pytest.MonkeyPatch) -> None:
    environment.setenv("MCPBOX_SANDBOX_BIND", "127.0.0.1:8003")
    assert KEY not in repr(read())

    environment.setenv("MCPBOX_SANDBOX_API_KEY", "sesame")
    with pytest.raises(ValidationError) as refused:
        read()
    assert "sesame" not in str(refused.value)


def test_a_socket_path_must_fit(environment: pytest.MonkeyPatch) -> None:
    environment.setenv("MCPBOX_SANDBOX_SOCKET", "/" + "x" * 110)

    with pytest.raises(ValidationError, match="107 characters"):
        read()
