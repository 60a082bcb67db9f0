"""A name is looked up once for each connection, and every address of it is judged."""

import httpcore2
import pytest

from mcpbox.domain.errors import SourceFailed
from mcpbox.upstream.pinned import PinnedBackend

PUBLIC, PRIVATE, METADATA = "93.184.216.34", "10.0.0.7", "169.254.169.254"


class Network(PinnedBackend):
    """Connects to nothing, and remembers to what."""

    def __init__(self, *addresses: str, allow_private: bool = False) -> None:
        async def resolver(_: str, __: int) -> list[str]:
            return list(addresses)

        super().__init__(resolver, allow_private=allow_private)
        self.connected: list[str] = []
        self._backend = _Elsewhere(self.connected)


class _Elsewhere(httpcore2.AsyncNetworkBackend):
    def __init__(self, connected: list[str]) -> None:
        self._connected = connected

    async def connect_tcp(self, host: str, *_: object) -> httpcore2.AsyncNetworkStream:  # pyright: ignore[reportIncompatibleMethodOverride]
        self._connected.append(host)
        return httpcore2.AsyncNetworkStream()


async def test_a_public_name_is_connected_to_by_the_address_that_was_judged() -> None:
    network = Network(PUBLIC)
    await network.connect_tcp("tools.example.org", 443)

    assert network.connected == [PUBLIC]


@pytest.mark.parametrize(
    ("addresses", "allow_private"),
    [
        ((PRIVATE,), False),
        ((PUBLIC, PRIVATE), False),
        ((METADATA,), True),
        ((PRIVATE, METADATA), True),
        (("::ffff:10.0.0.7",), True),
        ((), True),
    ],
)
async def test_a_name_with_any_address_that_is_not_fit_is_not_connected_to(
    addresses: tuple[str, ...], allow_private: bool
) -> None:
    network = Network(*addresses, allow_private=allow_private)
    with pytest.raises(SourceFailed, match="not public"):
        await network.connect_tcp("tools.example.org", 443)

    assert network.connected == []


async def test_a_private_address_is_connected_to_where_an_admin_consented() -> None:
    network = Network(PRIVATE, allow_private=True)
    await network.connect_tcp("tools.lan", 443)

    assert network.connected == [PRIVATE]
