"""Every management tool of the gateway, declared once."""

from gateway.definition import AnyTool, by_name
from gateway.tools.development import DEVELOPMENT_TOOLS
from gateway.tools.modules import MODULE_TOOLS
from gateway.tools.network import NETWORK_TOOLS
from gateway.tools.releases import RELEASE_TOOLS
from gateway.tools.requests import REQUEST_TOOLS
from gateway.tools.search import SEARCH_TOOLS
from gateway.tools.secrets import SECRET_TOOLS
from gateway.tools.servers import SERVER_TOOLS
from gateway.tools.tools import TOOL_TOOLS

TOOLS: dict[str, AnyTool] = by_name(
    [
        *SERVER_TOOLS,
        *TOOL_TOOLS,
        *DEVELOPMENT_TOOLS,
        *REQUEST_TOOLS,
        *MODULE_TOOLS,
        *NETWORK_TOOLS,
        *RELEASE_TOOLS,
        *SECRET_TOOLS,
        *SEARCH_TOOLS,
    ]
)
