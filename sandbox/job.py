"""What the service asks of a child."""

import marshal
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class Limits:
    memory_bytes: int = 256 * 2**20
    cpu_s: int = 60
    stdout_bytes: int = 64 * 2**10
    result_bytes: int = 2**20


@dataclass(frozen=True)
class Job:
    """The service is trusted, so a child checks nothing of it."""

    code: str = ""
    """A resident is given it with its first job, and keeps it."""
    compiled: bytes = b""
    """The code in marshal's format; if empty, the child compiles it."""
    modules: list[str] = field(default_factory=list[str])
    arguments: dict[str, Any] = field(default_factory=dict[str, Any])
    limits: Limits = Limits()
    check_only: bool = False
    secrets: dict[str, str] = field(default_factory=dict[str, str])
    """By name: values, or stand-ins for those that the broker puts in."""
    guarded: bool = True
    """``False`` gives the code everything Python has, to try the boundary itself."""
    call: int = 0
    """The stream of its output and its result, see :func:`sandbox.frames.new_call`."""
    resident: bool = False
    """Other jobs for the same code will follow."""
    command: list[str] = field(default_factory=list[str])
    """Of a server that speaks over stdio: its module, and what it is given on the command line."""

    def to_bytes(self) -> bytes:
        """For the same interpreter only: it reads them without running any Python code."""
        return marshal.dumps({**vars(self), "limits": vars(self.limits)})

    @classmethod
    def from_bytes(cls, data: bytes) -> "Job":
        given: dict[str, Any] = marshal.loads(data)  # noqa: S302  from the service
        given["limits"] = Limits(**given["limits"])
        return cls(**given)
