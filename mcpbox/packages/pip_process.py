"""pip inside limits: started as a file, ``python -I pip_process.py <arguments of pip>``.

``--only-binary`` says nothing about a dependency that a wheel gives as an address
(``evil @ git+https://…``): pip would fetch it, build it and run its build script. So no program is
ever started from here, and such a dependency ends the run.
"""

import os
import resource
import runpy
import signal
import sys
from typing import Any, NoReturn

ADDRESS_EXIT = 77
"""A dependency is an address; the last line of the output is that dependency."""

_CPU_S = 90
_WALL_S = 300
"""For the case that whoever started it was killed and cannot end it."""
_MEMORY_BYTES = 2**30
_FILE_BYTES = 256 * 2**20
_DESCRIPTORS = 256
_PROGRAMS = (
    *("subprocess.Popen", "os.system", "os.exec", "os.posix_spawn", "os.spawn"),
    *("os.fork", "os.forkpty", "pty.spawn"),
)


def main() -> None:
    for limit, value in (
        (resource.RLIMIT_CPU, _CPU_S),
        (resource.RLIMIT_AS, _MEMORY_BYTES),
        (resource.RLIMIT_FSIZE, _FILE_BYTES),
        (resource.RLIMIT_NOFILE, _DESCRIPTORS),
        (resource.RLIMIT_CORE, 0),
    ):
        resource.setrlimit(limit, (value, value))
    signal.alarm(_WALL_S)
    sys.addaudithook(_start_no_program)
    _take_no_address()
    runpy.run_module("pip", run_name="__main__", alter_sys=True)


def _start_no_program(event: str, _: tuple[Any, ...]) -> None:
    """An audit hook, for it cannot be taken away again, whatever pip is like inside."""
    if event in _PROGRAMS:
        raise PermissionError("no program is started while packages are resolved")


def _take_no_address() -> None:
    from pip._vendor.packaging.requirements import Requirement

    parse = Requirement.__init__

    def parse_name(self: Requirement, requirement_string: str) -> None:
        parse(self, requirement_string)
        if self.url is not None:
            _end(f"\n{self.name}")

    Requirement.__init__ = parse_name


def _end(line: str) -> NoReturn:
    """At once: pip would take an exception for a reason to try another version."""
    sys.stdout.flush()
    os.write(1, line.encode("utf-8", "replace"))
    os._exit(ADDRESS_EXIT)


if __name__ == "__main__":
    main()
