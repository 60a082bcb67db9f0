"""Modules that mean harm: what their code reaches at import, in its server and beyond."""

import os
import tempfile
from collections.abc import AsyncGenerator, Generator
from pathlib import Path

import pytest

from sandbox import launcher
from sandbox.contract import Bundle, ErrorKind
from sandbox.launcher import ModulesFailed
from sandbox.module_pools import ModulePools
from sandbox.pools import Pools
from tests.integration.sandbox.module_bench import (
    LAYERS,
    ONE,
    ModuleBench,
    importing,
    message_of,
    module_bench,
)
from tests.integration.sandbox.processes import below, wait_gone
from tests.integration.sandbox.wheels import native, pure


@pytest.fixture
def directory() -> Generator[Path]:
    with tempfile.TemporaryDirectory(prefix="modules-") as path:
        Path(path).chmod(0o711)
        yield Path(path)


@pytest.fixture
async def bench(directory: Path) -> AsyncGenerator[ModuleBench]:
    async with module_bench(directory) as bench:
        yield bench


EVIL = """
import ctypes, os, socket, threading
try:
    import mmap
except ImportError:  # where Python itself lies in a directory that is closed to others
    mmap = None
REACHED = []
def attempt(name, act):
    try:
        act()
    except BaseException:
        return
    REACHED.append(name)
def fork():
    if os.fork() == 0:
        os._exit(0)
def map_code():
    private, code = mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS, mmap.PROT_READ | mmap.PROT_EXEC
    mmap.mmap(-1, 4096, flags=private, prot=code)
def start_thread():
    threading.Thread(target=int).start()
attempt("socket", socket.socket)
attempt("read the host", lambda: open("/etc/passwd"))
attempt("read a process", lambda: open("/proc/self/environ"))
attempt("write beside itself", lambda: open(__file__ + ".txt", "w"))
attempt("write itself", lambda: open(__file__, "r+"))
attempt("make itself writable", lambda: os.chmod(__file__, 0o777))
attempt("write a temporary file", lambda: open("/tmp/evil", "w"))
attempt("fork", fork)
attempt("start a program", lambda: os.posix_spawn("/bin/true", ["true"], {}))
attempt("start a thread", start_thread)
attempt("map code of its own", map_code)
attempt("memory that is a file", lambda: os.memfd_create("x"))
attempt("signal its parent", lambda: os.kill(os.getppid(), 0))
attempt("outlive its parent", lambda: ctypes.CDLL(None).prctl(1, 0, 0, 0, 0) and 1 / 0)
attempt("use 1.5 GB", lambda: bytearray(1500 * 2**20))
ENVIRONMENT = sorted(name for name in os.environ if "MCPBOX" in name or name == "PATH")
"""


@LAYERS
async def test_code_that_runs_at_import_reaches_nothing(
    directory: Path, without: frozenset[str]
) -> None:
    async with module_bench(directory, without=without) as bench:
        key = await bench.install(pure("evil", EVIL))
        result = await bench.run(importing("evil", "[evil.REACHED, evil.ENVIRONMENT]"), key, "evil")

    assert result.result == [[], []], result


@pytest.mark.parametrize(
    ("source", "happened"),
    [
        ("while True: pass", "took longer than 3 s"),
        ("import os; os._exit(0)", "its process ended"),
        ("import ctypes; ctypes.string_at(0)", "its process ended"),
        ("import os; os.close(3); os.closerange(3, 200)", "cannot be imported here"),
    ],
    ids=["hangs", "exits", "crashes", "hangs up"],
)
async def test_a_module_that_takes_its_process_along_is_named(
    bench: ModuleBench, monkeypatch: pytest.MonkeyPatch, source: str, happened: str
) -> None:
    monkeypatch.setattr(launcher, "_IMPORT_TIMEOUT_S", 3.0)
    key = await bench.install(pure("evil", source), pure("able", "X = 1"))
    base = below(os.getpid())

    result = await bench.run(importing("able", "1"), key, "able")
    again = await bench.run(importing("able", "1"), key, "able")
    elsewhere = await bench.run(ONE, None)
    left = set(below(os.getpid())) - set(base)
    await wait_gone(left - {pid for pid in left if pid in below(base[0])})

    assert result.error is not None
    assert result.error.kind == ErrorKind.CRASHED
    assert "Module 'evil' cannot be imported here" in result.error.message
    assert happened in result.error.message
    assert again.error == result.error
    assert elsewhere.result == 1


@pytest.mark.parametrize("source", ["raise SystemExit", "import sys; sys.exit(3)"])
async def test_a_module_that_wants_to_exit_is_one_that_cannot_be_imported(
    bench: ModuleBench, source: str
) -> None:
    key = await bench.install(pure("evil", source))

    result = await bench.run(importing("evil", "1"), key, "evil")

    assert "Module 'evil' cannot be imported here: SystemExit" in message_of(result)


async def test_a_module_that_fills_its_memory_leaves_room_for_calls(bench: ModuleBench) -> None:
    key = await bench.install(pure("greedy", "KEPT = bytearray(1100 * 2**20)"), pure("fine", "X=1"))

    result = await bench.run(importing("greedy", "1"), key, "greedy")
    beside = await bench.run(importing("fine", "len(bytearray(2**27))"), key, "fine")

    assert "MemoryError" in message_of(result)
    assert beside.result == 2**27


async def test_modules_with_fewer_layers_than_other_tools_are_not_used(directory: Path) -> None:
    async with module_bench(directory) as bench:
        weaker = ModulePools(bench.sets, without=frozenset({"landlock"}))
        key = await bench.install(pure("fine", "X = 1"))
        with pytest.raises(ModulesFailed, match="fewer layers"):
            await Pools(bench.base, weaker).pool_for(Bundle(code=ONE, module_set=key))
        await weaker.stop()


async def test_servers_share_no_process_even_for_the_same_modules(bench: ModuleBench) -> None:
    """What is drawn at import is the same in all calls of a server, and of no other."""
    key = await bench.install(pure("drawn", "import os\nTOKEN = os.urandom(8).hex()\n"))
    code = importing("drawn", "drawn.TOKEN")

    first = await bench.run(code, key, "drawn", server="ana")
    second = await bench.run(code, key, "drawn", server="ana")
    other = await bench.run(code, key, "drawn", server="ben")

    assert first.result == second.result
    assert other.result not in {None, first.result}


async def test_a_module_that_changes_our_libraries_changes_them_for_its_server_alone(
    bench: ModuleBench,
) -> None:
    patching = "import httpx\nhttpx.AsyncClient.headers_seen_by = 'thief'\n"
    code = "async def main():\n    return getattr(http, 'headers_seen_by', None)\n"
    thief, honest = pure("thief", patching), pure("honest", "X = 1\n")
    stolen = await bench.install(thief, honest)
    other = await bench.install(honest)

    results = [
        await bench.run(code, stolen, server="ana"),
        await bench.run(code, other, server="ana"),
        await bench.run(code, other, server="ben"),
        await bench.run(code, None),
    ]

    assert [result.result for result in results] == ["thief", None, None, None]
    assert all(result.ok for result in results)


async def test_a_module_that_breaks_our_libraries_makes_its_own_server_fail(
    bench: ModuleBench,
) -> None:
    breaking = "import httpx\nhttpx.AsyncClient.get = None\n"
    key = await bench.install(pure("breaking", breaking))

    broken = await bench.run(importing("breaking", "1"), key, "breaking")
    elsewhere = await bench.run(ONE, None)

    assert broken.error is not None
    assert broken.error.kind == ErrorKind.CRASHED
    assert "cannot be imported here" in broken.error.message
    assert elsewhere.result == 1


MAPPING = """
import ctypes, mmap, os, sys
async def main():
    reached = []
    def attempt(name, act):
        try:
            act()
        except BaseException:
            return
        reached.append(name)
    read, write, run = mmap.PROT_READ, mmap.PROT_WRITE, mmap.PROT_EXEC
    private = mmap.MAP_PRIVATE
    import quick
    quick.escaped("")
    file = os.open(sys.modules["quick._speedups"].__file__, os.O_RDONLY)
    pipe = os.pipe()[0]
    def mapped(file, flags, prot):
        return lambda: mmap.mmap(file, 4096, flags=flags, prot=prot)
    attempt("file as code", mapped(file, private, read | run))
    attempt("written file as code", mapped(file, private, read | write | run))
    attempt("shared file as code", mapped(file, mmap.MAP_SHARED, read | run))
    attempt("memory as code", mapped(-1, private | mmap.MAP_ANONYMOUS, read | run))
    attempt("pipe as code", mapped(pipe, private, read | run))
    attempt("memory that is a file", lambda: os.memfd_create("x"))
    written = mmap.mmap(file, 4096, flags=private, prot=read | write)
    address = ctypes.addressof(ctypes.c_char.from_buffer(written))
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.mprotect(ctypes.c_void_p(address), 4096, read | run) == 0:
        reached.append("written file made code")
    for at, folders, names in os.walk("/"):
        for name in [*names, "new"]:
            path = os.path.join(at, name)
            for flags in (0, os.O_CREAT, os.O_TMPFILE):
                attempt(f"write {path}", lambda: os.open(path, os.O_RDWR | flags))
    for number in range(64):
        attempt(f"write descriptor {number}", lambda: os.ftruncate(number, 0))
    return reached
"""


async def test_only_files_that_nobody_can_write_become_code(bench: ModuleBench) -> None:
    key = await bench.install(native())

    result = await bench.run(MAPPING, key, "quick", guarded=False)

    assert result.result == ["file as code"], result


NOISY = """
import array, os, socket, sys
control = socket.socket(fileno=int(sys.argv[1]))
for text in (b"", b"S{}", b"S[]", b"F", b"I\\xff", b"P", b"P123456789", b"X", b"Z", b"E1234") * 3:
    descriptors = array.array("i", [0, 1, 2, 0])
    control.sendmsg([text or b"?"], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, descriptors)])
control.detach()
"""


DEEP = """
import array, os, socket, sys
control = socket.socket(fileno=int(sys.argv[1]))
for _ in range(40):
    descriptors = array.array("i", [0, 1])
    control.sendmsg([b"S" + b"[" * 60000], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, descriptors)])
control.detach()
"""
FORGING = """
import socket, sys
control = socket.socket(fileno=int(sys.argv[1]))
control.send(b"Fdone\\n2030-01-01 00:00:00 INFO trial run: bundle forged " + b"x" * 60000)
control.detach()
"""


async def test_a_module_that_names_other_processes_as_its_children_is_not_believed(
    bench: ModuleBench,
) -> None:
    """Whoever is named would be killed at the end of the call."""
    liar = "import os\nos.pidfd_open = lambda pid, flags=0: os.dup(0)\n"
    key = await bench.install(pure("liar", liar))

    result = await bench.run(importing("liar", "1"), key, "liar")
    elsewhere = await bench.run(ONE, None)

    assert result.error is not None
    assert result.error.kind == ErrorKind.CRASHED
    assert elsewhere.result == 1


REPEATING = """
import struct, sys
zygote = sys.modules["sandbox.zygote"]
serve = zygote.serve
def say_more(control, locks):
    control.send({said})
    serve(control, locks)
zygote.serve = say_more
"""


@pytest.mark.parametrize(
    "said",
    [
        """b'S{"layers": {}}'""",
        "b'Fagain'",
        "b'Iagain'",
        "struct.pack('<cI', b'E', 99)",
        "struct.pack('<cIid', b'X', 99, 0, 0.0)",
    ],
    ids=["started", "failed", "importing", "no child", "no child ended"],
)
async def test_a_fork_server_that_says_what_nobody_waits_for_is_given_up(
    bench: ModuleBench, said: str
) -> None:
    """Or it could go on for ever, and the service would have to listen."""
    key = await bench.install(pure("again", REPEATING.replace("{said}", said)))

    result = await bench.run(importing("again", "1"), key, "again")

    assert result.error is not None, result
    assert bench.modules.count == 0


async def test_a_module_cannot_write_lines_of_its_own_into_the_log(
    bench: ModuleBench, caplog: pytest.LogCaptureFixture
) -> None:
    key = await bench.install(pure("forging", FORGING))

    result = await bench.run(importing("forging", "1"), key, "forging")

    assert "cannot be imported" in message_of(result)
    assert all(
        "\n" not in text and len(text) < 1000 for text in [message_of(result), *caplog.messages]
    )


@pytest.mark.parametrize("talk", [NOISY, DEEP], ids=["nonsense", "deep"])
async def test_a_module_that_talks_in_the_place_of_its_fork_server_harms_nobody(
    bench: ModuleBench, talk: str
) -> None:
    key = await bench.install(pure("noisy", talk))
    descriptors = len(os.listdir("/proc/self/fd"))

    result = await bench.run(importing("noisy", "1"), key, "noisy")
    elsewhere = await bench.run(ONE, None)

    assert not result.ok
    assert elsewhere.result == 1
    assert len(os.listdir("/proc/self/fd")) <= descriptors
