"""Pictures beside the names that a client shows; inside the message, so that none is fetched."""

from base64 import b64encode

from mcp_types import Icon

_DRAWN = (
    '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 24 24" fill="none" stroke="#6d72e8" '
    'stroke-width="2" stroke-linecap="round" stroke-linejoin="round">{}</svg>'
)
"""In a colour that can be told from a light and from a dark ground."""


def _icon(shapes: str) -> list[Icon]:
    encoded = b64encode(_DRAWN.format(shapes).encode()).decode()
    return [Icon(src=f"data:image/svg+xml;base64,{encoded}", mime_type="image/svg+xml")]


MCPBOX = _icon('<path d="M12 2l9 5v10l-9 5-9-5V7z"/><path d="M3 7l9 5 9-5M12 12v10"/>')
SERVER = _icon('<path d="M3 4h18v7H3zM3 13h18v7H3zM7 7.5h1M7 16.5h1"/>')
TOOL = _icon('<path d="M8 6l-6 6 6 6M16 6l6 6-6 6"/>')
DEVELOPMENT = _icon('<path d="M6 4l14 8-14 8z"/>')
REQUEST = _icon('<circle cx="12" cy="12" r="9"/><path d="M8 12l3 3 5-6"/>')
MODULE = _icon('<rect x="4" y="4" width="16" height="16" rx="2"/><path d="M12 8v8M8 12h8"/>')
NETWORK = _icon('<circle cx="12" cy="12" r="9"/><path d="M3 12h18M12 3q8 9 0 18-8-9 0-18"/>')
RELEASE = _icon('<path d="M4 5v6h6M5 11a8 8 0 1 1-1 5"/>')
LOG = _icon('<path d="M4 4h16v16H4zM8 9h8M8 13h8M8 17h4"/>')
SECRET = _icon('<circle cx="8" cy="15" r="4"/><path d="M11 12l9-9M16 7l3 3"/>')
SOURCE = _icon('<path d="M9 2v6M15 2v6M6 8h12v4a6 6 0 0 1-12 0zM12 18v4"/>')
SEARCH = _icon('<circle cx="10" cy="10" r="7"/><path d="M15 15l6 6"/>')
GUIDE = _icon('<path d="M4 4h7v16H4zM13 4h7v16h-7z"/>')
