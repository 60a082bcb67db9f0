"""Invites the person at a client to open a page of the panel, where their client can show one."""

from contextlib import suppress
from dataclasses import dataclass
from typing import Any
from uuid import uuid4

import anyio
from mcp import MCPError
from mcp.server import ServerRequestContext
from mcp_types import (
    CallToolRequestParams,
    ElicitRequest,
    ElicitRequestURLParams,
    InputRequiredResult,
)
from mcp_types.version import MODERN_PROTOCOL_VERSIONS

from gateway.line import Line

INVITED = "panel"
WAIT_S = 60.0
"""For the person to say whether they open it; after that, the call is answered all the same."""


@dataclass(frozen=True, slots=True)
class Invitation:
    """Of one call. What the person answers decides nothing: they decide on the page."""

    context: ServerRequestContext[Any, Any]
    params: CallToolRequestParams
    line: Line

    async def to(self, url: str, message: str) -> InputRequiredResult | None:
        """What to answer in place of the call's result, for the client to call again.

        ``None``: they were invited, or their client cannot.
        """
        if INVITED in (self.params.input_responses or {}) or not self._can_open:
            return None
        if self.context.protocol_version in MODERN_PROTOCOL_VERSIONS:
            asked = ElicitRequest(params=ElicitRequestURLParams(message=message, url=url))
            return InputRequiredResult(input_requests={INVITED: asked})
        with anyio.move_on_after(WAIT_S), self.line.held(), suppress(MCPError):
            await self.context.session.elicit_url(
                message, url, uuid4().hex, related_request_id=self.context.request_id
            )
        return None

    @property
    def _can_open(self) -> bool:
        told = self.context.session.client_capabilities
        elicitation = told.elicitation if told is not None else None
        return elicitation is not None and elicitation.url is not None
