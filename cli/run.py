"""Runs one process of an instance in the foreground, without loading the command line."""

import importlib
import sys

from mcpbox.domain.errors import DomainError

ENTRY_POINTS = {
    "worker": "activities.worker",
    "gateway": "gateway.app",
    "sandbox": "sandbox.app",
    "admin": "cli.admin",
}
"""Process to the module whose ``main()`` it is; loaded by name, for each loads a different half."""


def run_process(name: str) -> None:
    importlib.import_module(ENTRY_POINTS[name]).main()


def main() -> None:
    try:
        run_process(sys.argv[1])
    except DomainError as error:
        sys.exit(str(error))


if __name__ == "__main__":
    main()
