"""I8: code in the sandbox reaches no file, process, socket, other call's data or other secret.

All with the guard left out: it is not the boundary.
"""

import os
from collections.abc import AsyncGenerator
from pathlib import Path

import pytest

from tests.integration.sandbox.pools import Bench, bench

SPY = """
async def main():
    import builtins, gc, os, sys
    seen = {name: getattr(builtins, name, None) for name in ("left_here",)}
    return {
        "builtins": seen,
        "modules": sorted(set(sys.modules) & {"planted"}),
        "environment": dict(os.environ),
        "arguments": [str(o) for o in gc.get_objects() if "token-of-a-call" in str(type(o))],
        "strings": sum("token-of-" + "a-call" in o for o in gc.get_objects() if type(o) is str),
    }
"""


@pytest.fixture(scope="module")
async def sandbox() -> AsyncGenerator[Bench]:
    async with bench() as one:
        yield one


@pytest.fixture
def open_directory(tmp_path: Path) -> Path:
    """The sandbox must not be saved by want of rights."""
    tmp_path.chmod(0o777)
    return tmp_path


async def test_i8_nothing_of_a_call_is_visible_to_the_next(sandbox: Bench) -> None:
    plant = """
async def main(token):
    import builtins, os, sys, types
    builtins.left_here = token
    sys.modules["planted"] = types.ModuleType("planted")
    os.environ["PLANTED"] = token
    http.headers["x-planted"] = token
    return os.getpid()
"""
    spy_headers = "async def main():\n    return dict(http.headers)\n"

    for _ in range(5):  # more than the pool holds
        planted = await sandbox.run(plant, {"token": "token-of-a-call"})
        seen = await sandbox.run(SPY)
        headers = await sandbox.run(spy_headers)

        assert planted.ok
        assert seen.result["builtins"] == {"left_here": None}
        assert seen.result["modules"] == []
        assert "PLANTED" not in seen.result["environment"]
        assert "x-planted" not in headers.result


async def test_i8_each_call_has_a_process_of_its_own(sandbox: Bench) -> None:
    code = "async def main():\n    import os\n    return os.getpid()\n"

    pids = [(await sandbox.run(code)).result for _ in range(8)]

    assert len(set(pids)) == len(pids)


async def test_i8_randomness_is_not_shared_between_calls(sandbox: Bench) -> None:
    code = """
async def main():
    import os, random, secrets, uuid
    return [random.random(), secrets.token_hex(), str(uuid.uuid4()), os.urandom(8).hex()]
"""
    results = [(await sandbox.run(code)).result for _ in range(6)]

    for values in zip(*results, strict=True):
        assert len(set(values)) == len(values)


async def test_i8_no_environment_of_the_service(
    sandbox: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MCPBOX_TEST_SECRET", "sesame")

    seen = await sandbox.run(SPY)

    assert "sesame" not in str(seen.result)
    assert not [name for name in seen.result["environment"] if name.startswith("MCPBOX")]


@pytest.mark.parametrize(
    "path", ["/etc/passwd", "/proc/self/environ", "/proc/1/environ", "/proc/self/mem", "/dev/mem"]
)
async def test_i8_no_file_of_the_host(sandbox: Bench, path: str) -> None:
    code = "async def main(path):\n    return len(open(path, 'rb').read(1))\n"

    result = await sandbox.run(code, {"path": path})

    assert not result.ok


async def test_i8_no_file_of_the_checkout_but_the_sandbox_itself(sandbox: Bench) -> None:
    code = "async def main(path):\n    return len(open(path).read())\n"
    ours = Path(__file__).parents[3] / "pyproject.toml"

    result = await sandbox.run(code, {"path": str(ours)})

    assert ours.exists()
    assert not result.ok


async def test_i8_no_write_anywhere(sandbox: Bench, open_directory: Path) -> None:
    code = """
async def main(places):
    written = []
    for place in places:
        try:
            open(place, "w")
            written.append(place)
        except OSError:
            pass
    return written
"""
    places = [f"{open_directory}/x", "/tmp/x", "/dev/shm/x", "/var/tmp/x", "/x", "/run/x"]

    result = await sandbox.run(code, {"places": places})

    assert result.result == []


@pytest.mark.parametrize(
    "attempt",
    [
        "__import__('socket').socket()",
        "__import__('socket').socket(__import__('socket').AF_UNIX)",
        "__import__('os').fork()",
        "__import__('os').posix_spawn('/bin/true', ['true'], {})",
        "__import__('os').kill(__import__('os').getppid(), 0)",
        "__import__('os').kill(-1, 0)",
        "__import__('threading').Thread(target=print).start()",
        "__import__('os').memfd_create('x')",
        "__import__('mmap').mmap(-1, 4096)",
        "__import__('os').setuid(0)",
        "__import__('resource').setrlimit(7, (9999, 9999))",
        "[__import__('os').dup(0) for _ in range(300)]",
    ],
)
async def test_i8_no_process_socket_thread_or_shared_memory(sandbox: Bench, attempt: str) -> None:
    code = f"async def main():\n    {attempt}\n    return 'done'\n"

    result = await sandbox.run(code)

    assert not result.ok
    assert result.error is not None
    assert result.error.kind == "raised", result


async def test_i8_no_bytes_of_the_service_leak_into_a_child(sandbox: Bench) -> None:
    """A child is forked from a fresh process, so what this one holds is not there to be found."""
    needle = f"needle-{os.getpid()}-in-the-service"
    code = """
async def main(halves):
    import gc
    needle = "-".join(halves)
    return sum(needle in o for o in gc.get_objects() if type(o) is str and o != needle)
"""
    first, _, second = needle.rpartition("-")

    result = await sandbox.run(code, {"halves": [first, second]})

    assert result.result == 0
