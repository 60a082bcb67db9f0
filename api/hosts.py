"""Which Host headers the API answers to: a page elsewhere cannot rebind its name to us."""

from http import HTTPStatus
from urllib.parse import urlsplit

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Receive, Scope, Send

from api.deps import PANEL_ADDRESS
from api.problems import answer

_PROBES = frozenset({"/health"})
"""Asked by address, from inside, and saying nothing."""


class HostLimit:
    def __init__(self, app: ASGIApp, *, names: frozenset[str]) -> None:
        """``names``: without ports, for a port may be forwarded."""
        self._app = app
        self._names = names

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or self._may_pass(scope):
            await self._app(scope, receive, send)
            return
        refusal = answer(
            "MisdirectedRequest",
            HTTPStatus.MISDIRECTED_REQUEST,
            "MCPbox does not answer to this Host; use a loopback address, or have the operator "
            "add the name to MCPBOX_PUBLIC_HOSTS.",
        )
        await refusal(scope, receive, send)

    def _may_pass(self, scope: Scope) -> bool:
        in_process = (scope.get("client") or ("",))[0] == PANEL_ADDRESS
        return in_process or scope["path"] in _PROBES or self._name_of(scope) in self._names

    def _name_of(self, scope: Scope) -> str | None:
        try:
            return urlsplit(f"//{Headers(scope=scope).get('host', '')}").hostname
        except ValueError:
            return None
