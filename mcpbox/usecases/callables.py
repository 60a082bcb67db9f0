"""Everything that the gateway keeps in memory of released tools, their secrets opened."""

from collections.abc import Iterable

import structlog

from mcpbox.domain.calls import CallableTool
from mcpbox.domain.secrets import HeldSecret
from mcpbox.store import secrets
from mcpbox.store.catalog import load_callables
from mcpbox.store.session import Sessions, reading
from mcpbox.store.tables.secrets import SecretRow
from mcpbox.vault import Vault

log = structlog.get_logger()


class Callables:
    def __init__(self, sessions: Sessions, vault: Vault) -> None:
        self._sessions = sessions
        self._vault = vault

    async def load(self) -> list[CallableTool]:
        """Raises: Unavailable."""
        async with reading(self._sessions) as session:
            found = await load_callables(session)
            sealed = await secrets.set_by_server(session, {tool.server_id for tool in found})
        return [self._with_secrets(tool, sealed[tool.server_id]) for tool in found]

    def _with_secrets(self, tool: CallableTool, rows: Iterable[SecretRow]) -> CallableTool:
        """Only those that its own code names, and its server may use."""
        usable = set(tool.version.manifest.secret_names) & tool.granted.secrets
        held: dict[str, HeldSecret] = {}
        for row in rows:
            if row.name not in usable:
                continue
            value = self._vault.find(tool.server_id, row.name, row.key_id, row.sealed)
            if value is None:
                log.error("secret.does_not_open", server=tool.server_name, name=row.name)
                continue
            held[row.name] = HeldSecret(value=value, hosts=tuple(row.hosts))
        return tool.model_copy(update={"secrets": held}) if held else tool
