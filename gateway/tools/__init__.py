"""Every management tool of the gateway, declared once."""

from gateway import icons
from gateway.definition import AnyTool, by_name, drawn
from gateway.tools.development import DEVELOPMENT_TOOLS
from gateway.tools.logs import LOG_TOOLS
from gateway.tools.modules import MODULE_TOOLS
from gateway.tools.network import NETWORK_TOOLS
from gateway.tools.releases import RELEASE_TOOLS
from gateway.tools.requests import REQUEST_TOOLS
from gateway.tools.search import SEARCH_TOOLS
from gateway.tools.secrets import SECRET_TOOLS
from gateway.tools.servers import SERVER_TOOLS
from gateway.tools.sources import SOURCE_TOOLS
from gateway.tools.tools import TOOL_TOOLS

TOOLS: dict[str, AnyTool] = by_name(
    [
        *drawn(icons.SERVER, SERVER_TOOLS),
        *drawn(icons.TOOL, TOOL_TOOLS),
        *drawn(icons.DEVELOPMENT, DEVELOPMENT_TOOLS),
        *drawn(icons.LOG, LOG_TOOLS),
        *drawn(icons.REQUEST, REQUEST_TOOLS),
        *drawn(icons.MODULE, MODULE_TOOLS),
        *drawn(icons.NETWORK, NETWORK_TOOLS),
        *drawn(icons.RELEASE, RELEASE_TOOLS),
        *drawn(icons.SECRET, SECRET_TOOLS),
        *drawn(icons.SOURCE, SOURCE_TOOLS),
        *drawn(icons.SEARCH, SEARCH_TOOLS),
    ]
)
