"""Real connections to public and private addresses, in namespaces of their own."""

import tempfile
from collections.abc import AsyncGenerator
from pathlib import Path

import pytest

from tests.integration.sandbox.public_net import (
    METADATA,
    OTHER_PUBLIC,
    PRIVATE,
    PUBLIC,
    PublicNet,
    can_unshare,
    public_net,
)

pytestmark = pytest.mark.skipif(not can_unshare(), reason="needs root, or namespaces for users")

FETCH = """
import httpx
async def main(url):
    try:
        answer = await http.get(url, follow_redirects=True)
    except (httpx.HTTPError, httpx.InvalidURL) as error:
        return f"{type(error).__name__}: {error}"
    return answer.status_code
"""


@pytest.fixture(scope="module")
async def started() -> AsyncGenerator[PublicNet]:
    with tempfile.TemporaryDirectory(prefix="net-") as directory:
        async with public_net(Path(directory)) as net:
            yield net


@pytest.fixture
async def net(started: PublicNet) -> PublicNet:
    await started.seen()
    return started


async def test_the_private_hosts_are_there_to_be_reached(net: PublicNet) -> None:
    """Or the refusals below would prove nothing."""
    for address in (PRIVATE, METADATA, PUBLIC):
        assert '"method": "GET"' in await net.fetch(f"http://{address}/")


async def test_a_public_host_is_reached_by_its_name(net: PublicNet) -> None:
    url = "http://api.public.test/v1"

    result = await net.service.run(FETCH, {"url": url}, hosts=("api.public.test",))

    assert result.result == 200
    seen = await net.seen()
    assert seen.asked == {PUBLIC: ["GET api.public.test/v1"]}
    assert seen.resolved == {"api.public.test": 1}


async def test_a_public_host_is_reached_over_tls(net: PublicNet) -> None:
    url = "https://api.public.test/v1"

    result = await net.service.run(FETCH, {"url": url}, hosts=("*.public.test",))

    assert result.result == 200
    seen = await net.seen()
    assert seen.asked == {"tls": ["GET api.public.test/v1"]}
    assert seen.server_names == ["api.public.test"]
    assert seen.resolved == {"api.public.test": 1}


@pytest.mark.parametrize(
    ("host", "why"),
    [
        ("inner.test", "inner.test resolves to an address that is not public"),
        ("metadata.test", "not public"),
        ("mixed.test", "mixed.test resolves to an address that is not public"),
        ("mapped.test", "mapped.test resolves to an address that is not public"),
        ("nowhere.test", "nowhere.test cannot be resolved"),
        ("unknown.test", "unknown.test cannot be resolved"),
        (PRIVATE, "not public"),
        (METADATA, "not public"),
        ("1572395042", "four decimal numbers"),
        ("0x5db8d822", "four decimal numbers"),
        ("93.12113954", "four decimal numbers"),
        (f"[::ffff:{PUBLIC}]", "not public"),
    ],
)
async def test_nothing_goes_anywhere_else(net: PublicNet, host: str, why: str) -> None:
    """The odd forms of a public address too: the system would connect to them."""
    result = await net.service.run(FETCH, {"url": f"http://{host}/"}, hosts=(host,))

    assert why in str(result.result)
    assert (await net.seen()).asked == {}


async def test_a_name_that_changes_its_address_leads_nowhere_private(net: PublicNet) -> None:
    url = "http://rebinding.test/bye"

    first = await net.service.run(FETCH, {"url": url}, hosts=("rebinding.test",))
    second = await net.service.run(FETCH, {"url": url}, hosts=("rebinding.test",))

    assert first.result == 200
    assert "not public" in str(second.result)
    seen = await net.seen()
    assert seen.asked == {PUBLIC: ["GET rebinding.test/bye"]}
    assert seen.resolved == {"rebinding.test": 2}


@pytest.mark.parametrize(
    "target",
    [
        *(f"http://{PRIVATE}/", f"http://{METADATA}/latest/", "http://inner.test/"),
        *("http://mixed.test/", "//inner.test/", "http://167772165/", "http://10.5/"),
        *("http://other.public.test/", "https://inner.test/"),
    ],
)
async def test_a_redirect_leads_nowhere_else(net: PublicNet, target: str) -> None:
    granted = (
        "api.public.test",
        "inner.test",
        "mixed.test",
        PRIVATE,
        METADATA,
        "167772165",
        "10.5",
    )
    url = f"http://api.public.test/to?{target}"

    result = await net.service.run(FETCH, {"url": url}, hosts=granted)

    assert "Refused" in str(result.result)
    assert [one.status for one in result.egress] == [302, None]
    assert list((await net.seen()).asked) == [PUBLIC]


async def test_a_redirect_to_a_granted_host_is_followed(net: PublicNet) -> None:
    url = "http://api.public.test/to?http://other.public.test/there"

    result = await net.service.run(FETCH, {"url": url}, hosts=("*.public.test",))

    assert result.result == 200
    assert (await net.seen()).asked[OTHER_PUBLIC] == ["GET other.public.test/there"]
