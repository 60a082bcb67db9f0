"""What ``mcpbox up`` says when it is up: to the terminal, or to the parent that waits for it."""

import json
import os
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from typing import Protocol

from cli.output import echo
from cli.preparation import Made


@dataclass(frozen=True)
class Announcement:
    urls: Mapping[str, str | None]
    made: Made = field(default_factory=Made)
    problem: str | None = None
    """Why it is not up; None when it is."""
    exit_code: int = 0


class Herald(Protocol):
    """Speaks once: the first announcement is the outcome, what follows is the log's."""

    def announce(self, announcement: Announcement) -> None: ...


class TerminalHerald:
    def announce(self, announcement: Announcement) -> None:
        if text := text_of(announcement):
            echo(f"\n{text}\n")


class PipeHerald:
    """One JSON document to a parent that may be gone by now."""

    def __init__(self, descriptor: int) -> None:
        self._stream = os.fdopen(descriptor, "w")

    def announce(self, announcement: Announcement) -> None:
        if self._stream.closed:
            return
        with suppress(BrokenPipeError), self._stream as stream:
            json.dump(asdict(announcement), stream)


def parse_announcement(text: str) -> Announcement | None:
    """None when the child ended before it had said anything."""
    if not text:
        return None
    fields = json.loads(text)
    made = Made(**fields.pop("made"))
    return Announcement(made=made, **fields)


def text_of(announcement: Announcement) -> str:
    blocks = [_credentials(announcement)]
    if not announcement.problem:
        blocks.insert(0, _addresses(announcement))
    return "\n\n".join(filter(None, blocks))


def _addresses(announcement: Announcement) -> str:
    urls = announcement.urls
    lines = [
        "MCPbox is up.",
        "",
        f"  Panel            {urls['panel']}",
        f"  Gateway (MCP)    {urls['gateway']}",
        f"  REST API         {urls['api']}",
    ]
    if urls["temporal_ui"]:
        lines.append(f"  Temporal Web UI  {urls['temporal_ui']}")
    return "\n".join(lines)


def _credentials(announcement: Announcement) -> str:
    lines: list[str] = []
    if announcement.made.admin_password:
        lines += [
            "Sign in to the panel (this password is shown only now):",
            "",
            "  user      admin",
            f"  password  {announcement.made.admin_password}",
            "",
        ]
    if announcement.made.client_token:
        lines += [
            "Connect an LLM's client (this token is shown only now):",
            "",
            f"  claude mcp add --transport http mcpbox {announcement.urls['gateway']} "
            f'--header "Authorization: Bearer {announcement.made.client_token}"',
            "",
        ]
    if not announcement.problem:
        lines.append("A token for another client: mcpbox clients create NAME --scopes author,call")
    return "\n".join(lines).rstrip()
