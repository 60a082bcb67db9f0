"""What a fuzzer that is guided by coverage may throw bytes at; each raises when it finds a bug."""

import re
from collections.abc import Callable

from sandbox.frames import Frame, FrameTooLong, Unpacker
from sandbox.guard import check

_MAX_PAYLOAD = 4096
_NEWLINE = re.compile(r"\r\n|\r|\n")


def frames(data: bytes) -> None:
    """Cut in two anywhere, the bytes mean the same as whole."""
    cut = data[0] if data else 0
    if _frames_of([data]) != _frames_of([data[:cut], data[cut:]]):
        raise AssertionError("the cut makes a difference")


def guard(data: bytes) -> None:
    """Every finding points into the source."""
    source = data.decode("utf-8", "surrogateescape")
    lines = len(_NEWLINE.split(source))
    for finding in check(source):
        if not (1 <= finding.line <= lines + 1 and finding.column >= 1 and finding.message):
            raise AssertionError(f"{finding} points nowhere")


TARGETS: dict[str, Callable[[bytes], None]] = {"frames": frames, "guard": guard}


def _frames_of(parts: list[bytes]) -> tuple[list[Frame], bool]:
    unpacker = Unpacker(_MAX_PAYLOAD)
    found: list[Frame] = []
    try:
        for part in parts:
            for frame in unpacker.feed(part):
                found.append(frame)  # noqa: PERF402  what came before the failure counts
    except FrameTooLong:
        return found, True
    return found, False
