"""How long an instance takes to come up: on an empty directory, and on its own again."""

from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from benchmarks.instance import Installation, installation_in
from benchmarks.samples import Start, start_of


@dataclass(frozen=True)
class Starts:
    """Until ``mcpbox up --detach`` returned; files may be in the machine's page cache."""

    cold: Start
    warm: Start


@contextmanager
def measured_starts(directory: Path, *, pairs: int) -> Generator[tuple[Installation, Starts]]:
    """Cold, warm, cold, warm; the last instance is left running for what comes next."""
    cold: list[float] = []
    warm: list[float] = []

    def start_twice(installation: Installation) -> None:
        cold.append(installation.up())
        installation.down()
        warm.append(installation.up())

    for number in range(1, pairs):
        with installation_in(directory / str(number)) as earlier:
            start_twice(earlier)
    with installation_in(directory / "last") as installation:
        start_twice(installation)
        yield installation, Starts(start_of(cold), start_of(warm))
