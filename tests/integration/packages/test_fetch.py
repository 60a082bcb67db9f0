"""A wheel arrives as it was pinned, or not at all."""

import asyncio
import hashlib
import threading

import pytest

from mcpbox.domain.errors import Refused, Unavailable
from mcpbox.domain.modules import PinnedWheel, Requirement
from mcpbox.packages.index import PackageIndex
from tests.package_index import LocalIndex, OfferedFile, local_index

ALPHA = Requirement(module="alpha", package="alpha")


async def pinned(index: PackageIndex) -> PinnedWheel:
    (wheel,) = (await index.resolve([ALPHA])).wheels
    return wheel


def at(url: str, content: bytes) -> PinnedWheel:
    return PinnedWheel(
        package="alpha",
        version="1.0",
        filename="alpha-1.0-py3-none-any.whl",
        sha256=hashlib.sha256(content).hexdigest(),
        size=len(content),
        url=url,
    )


@pytest.fixture
def alpha(offered: LocalIndex) -> OfferedFile:
    return offered.add("alpha")


async def test_a_pinned_wheel_arrives(alpha: OfferedFile, index: PackageIndex) -> None:
    assert await index.fetch(await pinned(index)) == alpha.content


async def test_other_bytes_of_the_same_length_are_refused(
    alpha: OfferedFile, index: PackageIndex
) -> None:
    wheel = await pinned(index)
    alpha.content = alpha.content[:-1] + b"?"

    with pytest.raises(Refused, match="is not what was pinned"):
        await index.fetch(wheel)


async def test_fewer_bytes_are_refused(alpha: OfferedFile, index: PackageIndex) -> None:
    wheel = await pinned(index)
    alpha.content = alpha.content[:-1]

    with pytest.raises(Refused, match="is not what was pinned"):
        await index.fetch(wheel)


async def test_a_size_that_was_announced_wrong_is_refused(
    alpha: OfferedFile, index: PackageIndex
) -> None:
    """It is a part of the digest that people saw."""
    alpha.announced_size = len(alpha.content) + 1

    with pytest.raises(Refused, match="is not what was pinned"):
        await index.fetch(await pinned(index))


async def test_more_bytes_are_refused_before_all_of_them_came(
    alpha: OfferedFile, index: PackageIndex
) -> None:
    """The rest is held back for ever: whoever waits for it does not come to an end."""
    wheel = await pinned(index)
    alpha.content, alpha.held_until = alpha.content * 4, threading.Event()

    with pytest.raises(Refused, match="is larger than the"):
        await index.fetch(wheel)
    alpha.held_until.set()


async def test_a_wheel_that_is_gone_is_refused(
    offered: LocalIndex, alpha: OfferedFile, index: PackageIndex
) -> None:
    wheel = await pinned(index)
    offered.files.clear()

    with pytest.raises(Refused, match="no longer has"):
        await index.fetch(wheel)


async def test_an_index_that_stops_in_the_middle_is_given_up(
    offered: LocalIndex, alpha: OfferedFile
) -> None:
    index = PackageIndex(offered.index_url, fetch_timeout_s=0.5)
    wheel = await pinned(index)
    alpha.held_until = threading.Event()

    with pytest.raises(Unavailable):
        await index.fetch(wheel)
    alpha.held_until.set()


async def test_an_index_that_is_not_there_is_unavailable(nowhere: str, index: PackageIndex) -> None:
    with pytest.raises(Unavailable):
        await index.fetch(at(f"{nowhere}/files/alpha-1.0-py3-none-any.whl", b"any"))


async def test_a_redirect_on_the_same_host_is_followed(
    offered: LocalIndex, alpha: OfferedFile, index: PackageIndex
) -> None:
    wheel = await pinned(index)
    offered.add("moved").content = alpha.content
    alpha.redirect_to = "/files/moved-1.0-py3-none-any.whl"

    assert await index.fetch(wheel) == alpha.content


async def test_a_redirect_to_another_host_is_not_followed(
    offered: LocalIndex, alpha: OfferedFile, index: PackageIndex
) -> None:
    wheel = await pinned(index)
    with local_index() as other:
        other.add("alpha")
        alpha.redirect_to = f"{other.base}/files/alpha-1.0-py3-none-any.whl"

        with pytest.raises(Refused, match="redirects to another address"):
            await index.fetch(wheel)

        assert other.requests == []


async def test_plain_http_is_refused_when_the_index_is_not_plain_http(
    offered: LocalIndex, alpha: OfferedFile, index: PackageIndex
) -> None:
    wheel = await pinned(index)
    offered.requests.clear()

    with pytest.raises(Refused, match="not https"):
        await PackageIndex("https://index.test").fetch(wheel)

    assert offered.requests == []


async def test_an_address_with_credentials_is_refused(
    alpha: OfferedFile, index: PackageIndex
) -> None:
    wheel = await pinned(index)
    address = wheel.url.replace("//", "//user:word@")

    with pytest.raises(Refused, match="credentials") as caught:
        await index.fetch(wheel.model_copy(update={"url": address}))

    assert "word@" not in str(caught.value)


async def test_a_fetch_that_is_cancelled_ends(
    offered: LocalIndex, alpha: OfferedFile, index: PackageIndex
) -> None:
    wheel = await pinned(index)
    offered.asked.clear()
    alpha.held_until = threading.Event()
    fetching = asyncio.create_task(index.fetch(wheel))
    assert await asyncio.to_thread(offered.asked.wait, 30)

    fetching.cancel()
    with pytest.raises(asyncio.CancelledError):
        await fetching
    alpha.held_until.set()
