"""Where the lines of the services go: the terminal, or a file that is rotated by size."""

import logging
import sys
from collections import deque
from logging.handlers import RotatingFileHandler
from pathlib import Path

_FILE_MAX_BYTES = 10 * 2**20
_FILES_KEPT = 3


def terminal_log() -> logging.Logger:
    return _log(logging.StreamHandler(sys.stdout), "%(service)-8s | %(message)s")


def file_log(file: Path) -> logging.Logger:
    handler = RotatingFileHandler(file, maxBytes=_FILE_MAX_BYTES, backupCount=_FILES_KEPT)
    return _log(handler, "%(asctime)s %(service)-8s | %(message)s")


def last_lines(file: Path, count: int = 20) -> list[str]:
    try:
        with file.open(errors="replace") as stream:
            return list(deque((line.rstrip("\n") for line in stream), maxlen=count))
    except FileNotFoundError:
        return []


def _log(handler: logging.Handler, layout: str) -> logging.Logger:
    handler.setFormatter(logging.Formatter(layout))
    log = logging.getLogger("mcpbox.up")
    log.handlers = [handler]
    log.setLevel(logging.INFO)
    log.propagate = False
    return log
