import io
import json
import logging
from collections.abc import Generator

import pytest
import structlog

from mcpbox import logs


@pytest.fixture
def stream() -> Generator[io.StringIO]:
    """What a process that is not on a terminal writes."""
    root = logging.getLogger()
    before, level = root.handlers[:], root.level
    written = io.StringIO()
    logs.configure("test")
    handler = root.handlers[0]
    assert isinstance(handler, logging.StreamHandler)
    handler.setStream(written)
    yield written
    root.handlers = before
    root.setLevel(level)
    structlog.reset_defaults()
    structlog.contextvars.clear_contextvars()


def test_an_event_is_one_json_line_with_its_service(stream: io.StringIO) -> None:
    structlog.get_logger().info("request.opened", request_id="r1")

    line = json.loads(stream.getvalue())
    assert (line["event"], line["service"], line["request_id"]) == ("request.opened", "test", "r1")


def test_secrets_never_reach_the_log(stream: io.StringIO) -> None:
    structlog.get_logger().info(
        "login", password="hunter2", api_key="hunter2", authorization="hunter2", token="hunter2"
    )

    assert "hunter2" not in stream.getvalue()


def test_arguments_are_kept_without_what_looks_secret_at_any_depth() -> None:
    given = {"city": "Oslo", "auth": {"api_key": "s", "items": [{"password": "s", "n": 1}]}}

    assert logs.redacted(given) == {
        "city": "Oslo",
        "auth": {"api_key": "[redacted]", "items": [{"password": "[redacted]", "n": 1}]},
    }
