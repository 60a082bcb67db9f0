"""``python -m sandbox`` starts the service; with ``probe`` it only measures the machine."""

import asyncio
import sys

from sandbox.app import main, probe

if __name__ == "__main__":
    if sys.argv[1:] == ["probe"]:
        sys.stdout.write(asyncio.run(probe()).model_dump_json())
    else:
        main()
