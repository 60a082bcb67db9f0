"""The system's browser; ``make test`` installs it where it is missing."""

import shutil

LAUNCH_ARGS = ["--no-sandbox", "--disable-gpu", "--disable-background-networking"]
_NAMES = ("chromium", "chromium-browser", "google-chrome")


def chromium_path() -> str:
    found = next((path for name in _NAMES if (path := shutil.which(name))), None)
    if found is None:
        raise RuntimeError("no chromium found: run 'make test', or install it")
    return found
