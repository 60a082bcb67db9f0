"""The panel's way to external sources, over our REST API."""

from collections.abc import Sequence
from typing import Any
from uuid import UUID

from mcpbox.domain.base import Page
from mcpbox.domain.external_sources import (
    ExternalSource,
    ImportedOffer,
    SourceDetail,
    SourceNeed,
)
from mcpbox.domain.servers import ServerKind, ServerSummary
from ui.asking import Asking, Query

_LOOKING_S = 60.0
"""A source that is looked at is another machine, and may be slow."""


class SourcesRest(Asking):
    async def sources(self, *, page: int = 1, page_size: int = 50) -> Page[ExternalSource]:
        query: Query = {"page": page, "page_size": page_size}
        return await self._ask("GET", "sources", Page[ExternalSource], query)

    async def source(self, source_id: UUID) -> SourceDetail:
        return await self._ask("GET", f"sources/{source_id}", SourceDetail)

    async def source_needs(self, source_id: UUID) -> list[SourceNeed]:
        return await self._ask("GET", f"sources/{source_id}/needs", list[SourceNeed])

    async def source_of(self, server: ServerSummary) -> SourceDetail | None:
        """``None``: its tools are written here."""
        if server.kind is not ServerKind.EXTERNAL:
            return None
        return await self._ask("GET", f"servers/{server.id}/source", SourceDetail)

    async def add_source(
        self, name: str, description: str, endpoint: dict[str, Any]
    ) -> SourceDetail:
        """``endpoint``: as typed, for the API to judge."""
        body = {"name": name, "description": description, "endpoint": endpoint}
        return await self._ask("POST", "sources", SourceDetail, body=body)

    async def begin_sign_in(self, source_id: UUID, client_id: str, client_secret: str) -> str:
        body = {"client_id": client_id or None, "client_secret": client_secret or None}
        path = f"sources/{source_id}/sign-in"
        found = await self._ask("POST", path, dict[str, str], body=body, patience_s=_LOOKING_S)
        return found["address"]

    async def finish_sign_in(self, state: str, code: str, iss: str | None) -> ExternalSource:
        path, body = "sources/sign-in", {"state": state, "code": code, "iss": iss}
        return await self._ask("POST", path, ExternalSource, body=body, patience_s=_LOOKING_S)

    async def ask_for_source(
        self, source_id: UUID, notes: str, sign_in_hosts: Sequence[str]
    ) -> list[SourceNeed]:
        path = f"sources/{source_id}/needs"
        body = {"notes": notes, "sign_in_hosts": list(sign_in_hosts)}
        return await self._ask("POST", path, list[SourceNeed], body=body, patience_s=_LOOKING_S)

    async def check_source(self, source_id: UUID) -> SourceDetail:
        path = f"sources/{source_id}/check"
        return await self._ask("POST", path, SourceDetail, patience_s=_LOOKING_S)

    async def import_tools(
        self, source_id: UUID, names: Sequence[str], notes: str
    ) -> list[ImportedOffer]:
        path, body = f"sources/{source_id}/import", {"names": list(names), "notes": notes}
        return await self._ask("POST", path, list[ImportedOffer], body=body, patience_s=_LOOKING_S)

    async def allow_private(self, source_id: UUID, reason: str, *, allowed: bool) -> SourceDetail:
        path, body = f"sources/{source_id}/allow-private", {"allowed": allowed, "reason": reason}
        return await self._ask("POST", path, SourceDetail, body=body)
