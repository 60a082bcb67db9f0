"""Where the browser finds our static files: under a name that changes with their content."""

import hashlib
from pathlib import Path

STATIC = Path(__file__).parent / "static"
_SHEETS = ("tokens", "base", "frame", "approvals", "diff", "pages", "policy")


def _fingerprint() -> str:
    content = hashlib.sha256()
    for path in sorted(STATIC.iterdir()):
        content.update(path.name.encode() + path.read_bytes())
    return content.hexdigest()[:12]


ASSETS = f"/assets/{_fingerprint()}"
SHEETS = tuple(f"{ASSETS}/{name}.css" for name in _SHEETS)
PLAIN_SHEETS = tuple(f"{ASSETS}/{name}.css" for name in ("tokens", "base", "frame", "plain"))


def stylesheets(urls: tuple[str, ...]) -> str:
    return "".join(f'<link rel="stylesheet" href="{url}">' for url in urls)
