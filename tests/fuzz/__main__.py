"""Fuzz for as long as you like: ``python -m tests.fuzz guard -max_total_time=600``.

Needs ``atheris``, which is no dependency: ``pip install atheris`` where it has a wheel. What comes
after the target's name goes to libFuzzer; a folder there keeps what was found interesting.
"""

import importlib
import sys
from typing import Any

from tests.fuzz.targets import TARGETS


def main(arguments: list[str]) -> int:
    if not arguments or arguments[0] not in TARGETS:
        print(f"Say what to fuzz: {' or '.join(TARGETS)}.", file=sys.stderr)  # noqa: T201
        return 2
    try:
        atheris: Any = importlib.import_module("atheris")
    except ImportError:
        print("atheris is not installed: pip install atheris", file=sys.stderr)  # noqa: T201
        return 2
    atheris.instrument_all()
    atheris.Setup([f"fuzz {arguments[0]}", *arguments[1:]], TARGETS[arguments[0]])
    atheris.Fuzz()
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
