"""The service starts where it is safe, and says clearly why it does not start elsewhere."""

import asyncio
import os
import shutil
import socket
import stat
import tempfile
from collections.abc import Generator, Mapping, Sequence
from pathlib import Path

import httpx
import pytest

from sandbox.admission import Admission
from sandbox.bundles import Registered
from sandbox.contract import Bundle
from sandbox.pinned import ConnectionPools
from sandbox.pool import Pool
from sandbox.pools import Pools
from sandbox.probe import Isolation, NotIsolated, measure
from sandbox.runner import Runner
from tests.integration.sandbox.running import ROOT, running, start_process

ONE = "async def main():\n    return 1\n"
WITHOUT_CGROUPS = (
    *("unshare", "--user", "--map-current-user", "--keep-caps", "--mount"),
    *("sh", "-c", 'mount -t tmpfs none /sys/fs/cgroup && exec "$@"', "sh"),
)


@pytest.fixture
def own_directory() -> Generator[Path]:
    with tempfile.TemporaryDirectory(prefix="sandbox-") as directory:
        yield Path(directory)


async def refusal(
    directory: Path, environment: Mapping[str, str] | None = None, within: Sequence[str] = ()
) -> str:
    """What it says while it does not start."""
    process = await start_process(directory, environment or {}, within=within)
    async with asyncio.timeout(30):
        _, said = await process.communicate()
    assert process.returncode == 1
    assert "Traceback" not in said.decode()
    return said.decode().splitlines()[-1]


async def test_a_required_layer_that_is_inactive_is_named_with_what_it_needs(
    own_directory: Path,
) -> None:
    said = await refusal(own_directory, {"REQUIRE": "seccomp,cgroup"}, WITHOUT_CGROUPS)

    assert "cannot start" in said
    assert "cgroup (" in said
    assert "Delegate=yes" in said
    assert "seccomp (" not in said


@pytest.mark.parametrize(
    ("environment", "named"),
    [
        ({"API_KEY": "short"}, "32 characters"),
        ({"RECEIPT_KEYS": ""}, "set MCPBOX_SANDBOX_RECEIPT_KEYS"),
        ({"RECEIPT_KEYS": "c2hvcnQ="}, "MCPBOX_SANDBOX_RECEIPT_KEYS: "),
        ({"BIND": "127.0.0.1:18190"}, "one of MCPBOX_SANDBOX_SOCKET"),
        ({"REQUIRE": "magic"}, "unknown layer magic"),
        ({"PRIVATE_HOSTS": "http://x"}, "MCPBOX_SANDBOX_PRIVATE_HOSTS"),
        ({"POOL_SIZE": "many"}, "MCPBOX_SANDBOX_POOL_SIZE"),
        ({"SOCKET": "/nowhere/at/all.sock"}, "cannot listen on /nowhere/at/all.sock"),
    ],
)
async def test_a_wrong_setting_is_named(
    own_directory: Path, environment: dict[str, str], named: str
) -> None:
    said = await refusal(own_directory, environment)

    assert named in said
    assert "short" not in said


async def test_the_socket_is_for_its_user_alone_and_replaces_a_stale_one(
    own_directory: Path,
) -> None:
    path = own_directory / "sandbox.sock"
    with socket.socket(socket.AF_UNIX) as stale:
        stale.bind(str(path))

    async with running(own_directory) as service:
        assert (await service.run(ONE)).ok
        assert stat.S_IMODE(path.stat().st_mode) == 0o600


async def test_it_listens_on_tcp_too(own_directory: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    process = await start_process(own_directory, {"SOCKET": "", "BIND": f"127.0.0.1:{port}"})
    assert process.stderr is not None
    try:
        async with asyncio.timeout(30), httpx.AsyncClient() as client:
            while b"INFO ready" not in (line := await process.stderr.readline()):
                assert line
            answer = await client.get(f"http://127.0.0.1:{port}/health")
    finally:
        process.terminate()
        await process.communicate()

    assert answer.json()["ready"]


async def test_it_does_not_replace_a_file(own_directory: Path) -> None:
    path = own_directory / "sandbox.sock"
    path.write_text("precious")

    said = await refusal(own_directory)

    assert "is no socket" in said
    assert path.read_text() == "precious"


async def test_it_runs_from_a_directory_closed_to_others(own_directory: Path) -> None:
    """As a checkout below /root, or below what mktemp made; with files closed to others, too."""
    package = own_directory / "checkout" / "sandbox"
    shutil.copytree(ROOT / "sandbox", package, ignore=shutil.ignore_patterns("__pycache__"))
    for path in (own_directory / "checkout", *(own_directory / "checkout").rglob("*")):
        os.chmod(path, 0o700 if path.is_dir() else 0o600)

    async with running(own_directory, root=package.parent) as service:
        result = await service.run("import zoneinfo\n" + ONE)
        health = await service.health()

    assert result.ok
    assert health.level != "unsafe"


async def measured(*without: str) -> Isolation:
    pool = Pool(size=1, without=frozenset(without))
    try:
        await pool.start()
        runner = Runner(Pools(pool), ConnectionPools(), Admission())
        isolation = await measure(runner, pool.zygote)
        answer = await runner.run(Registered.of(Bundle(code=ONE)))
    finally:
        await pool.stop()
    assert answer.result == 1
    return isolation


async def test_without_namespaces_the_filters_hold() -> None:
    """As in an unprivileged container."""
    isolation = await measured("namespaces")

    assert isolation.level == "filters-only"
    assert isolation.reached == ()
    with pytest.raises(NotIsolated, match="namespaces"):
        isolation.require(frozenset({"namespaces"}))


async def test_without_landlock_too_tools_see_no_file_at_all() -> None:
    isolation = await measured("namespaces", "landlock")

    assert isolation.level == "seccomp-only"
    assert isolation.reached == ()


@pytest.mark.parametrize(
    ("layer", "reached"), [("seccomp", "open a socket"), ("rlimits", "use 600 MB")]
)
async def test_a_missing_layer_is_measured_and_nothing_starts_unsafe(
    layer: str, reached: str
) -> None:
    isolation = await measured(layer)

    assert isolation.level == "unsafe"
    assert reached in isolation.reached
    with pytest.raises(NotIsolated, match="unsafe"):
        isolation.require(frozenset())
