"""An index of the test's own, empty at first."""

from collections.abc import Generator

import pytest

from mcpbox.packages.index import PackageIndex
from tests.package_index import LocalIndex, local_index


@pytest.fixture
def offered() -> Generator[LocalIndex]:
    with local_index() as index:
        yield index


@pytest.fixture
def index(offered: LocalIndex) -> PackageIndex:
    return PackageIndex(offered.index_url)


@pytest.fixture
def nowhere(unused_tcp_port: int) -> str:
    """An address at which nobody answers."""
    return f"http://127.0.0.1:{unused_tcp_port}"
