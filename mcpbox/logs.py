"""structlog for every process: past-tense events with ids, JSON unless on a terminal."""

import logging
import re
import sys
from typing import Any, cast

import structlog
from structlog.typing import EventDict, WrappedLogger

_SECRET_KEY = re.compile(r"pass(word|wd)?$|token|secret|authorization|api_?key|cookie", re.I)
REDACTED = "[redacted]"
_QUOTING = ("client", "mcp.client", "mcp.shared")
"""Of the MCP SDK: they log what another server said, word by word."""


def configure(service: str, level: str = "INFO") -> None:
    """Once per process, in ``main()``; standard library loggers end up in the same stream."""
    shared = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        _redact,
    ]
    renderer = (
        structlog.dev.ConsoleRenderer()
        if sys.stderr.isatty()
        else structlog.processors.JSONRenderer()
    )
    structlog.configure(
        processors=[*shared, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        logger_factory=structlog.stdlib.LoggerFactory(),
        cache_logger_on_first_use=True,
    )
    handler = logging.StreamHandler()
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=shared,
            processors=[
                structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                structlog.processors.format_exc_info,
                renderer,
            ],
        )
    )
    root = logging.getLogger()
    root.handlers = [handler]
    root.setLevel(level)
    for name in ("httpx", "httpx2"):
        logging.getLogger(name).setLevel(logging.WARNING)
    for name in _QUOTING:
        logging.getLogger(name).setLevel(logging.CRITICAL)
    structlog.contextvars.bind_contextvars(service=service)


def is_secret_name(name: str) -> bool:
    """Whether a value under this name must not be kept: passwords, tokens, keys, cookies."""
    return bool(_SECRET_KEY.search(name))


def redacted(value: Any) -> Any:
    """A copy of JSON data in which values under secret names are replaced, at any depth."""
    if isinstance(value, dict):
        pairs = cast("dict[str, Any]", value)
        return {
            name: REDACTED if is_secret_name(name) else redacted(inner)
            for name, inner in pairs.items()
        }
    if isinstance(value, list):
        return [redacted(inner) for inner in cast("list[Any]", value)]
    return value


def _redact(_: WrappedLogger, __: str, event: EventDict) -> EventDict:
    for name in event:
        if is_secret_name(name):
            event[name] = REDACTED
    return event
