"""A package index on loopback, with PyPI's JSON API and OSV's API beside it.

In a thread, so that it serves processes and tests of any kind. Source: PEP 503, 592, 691 and 700,
PyPI's JSON API, the OSV API.
"""

import hashlib
import html
import json
import re
import threading
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, cast
from urllib.parse import unquote, urlsplit

from packaging.utils import canonicalize_name

from tests.package_archives import a_wheel, wheel_name

JSON_PAGE = "application/vnd.pypi.simple.v1+json"
UPLOADED_AT = "2024-02-03T04:05:06.000007Z"


@dataclass
class OfferedFile:
    filename: str
    content: bytes
    yanked: str | None = None
    """The reason; ``None``: it is not."""
    announced_size: int | None = None
    announced_sha256: str | None = None
    redirect_to: str | None = None
    uploaded_at: str = UPLOADED_AT
    held_until: threading.Event | None = None
    """The answer waits for it after the first half."""

    @property
    def sha256(self) -> str:
        return self.announced_sha256 or hashlib.sha256(self.content).hexdigest()

    @property
    def size(self) -> int:
        return self.announced_size or len(self.content)

    @property
    def version(self) -> str:
        return self.filename.removesuffix(".tar.gz").split("-")[1]


@dataclass
class LocalIndex:
    """What it offers may be changed while it runs."""

    base: str
    files: dict[str, list[OfferedFile]] = field(default_factory=dict[str, list[OfferedFile]])
    pages: str = "json"
    """Or ``html``: an index that speaks only the older form."""
    pages_held_until: threading.Event | None = None
    facts: dict[str, dict[str, Any]] = field(default_factory=dict[str, dict[str, Any]])
    """Package to what replaces the defaults of ``info``."""
    known: dict[tuple[str, str], list[str]] = field(
        default_factory=dict[tuple[str, str], list[str]]
    )
    """Package and version to ids of ``vulnerabilities``."""
    vulnerabilities: dict[str, dict[str, Any]] = field(default_factory=dict[str, dict[str, Any]])
    vulnerabilities_a_page: int = 1000
    broken: dict[str, int] = field(default_factory=dict[str, int])
    """Start of a path to the status it answers with."""
    requests: list[str] = field(default_factory=list[str])
    """``GET /simple/name/``, oldest first."""
    asked: threading.Event = field(default_factory=threading.Event)
    """Set by the first request."""

    @property
    def index_url(self) -> str:
        return f"{self.base}/simple"

    @property
    def settings(self) -> dict[str, str]:
        """Of an instance that asks it and nobody else."""
        return {
            "package_index_url": self.index_url,
            "pypi_url": self.base,
            "osv_url": self.base,
        }

    def add(self, name: str, version: str = "1.0", **wheel: Any) -> OfferedFile:
        """A wheel, as :func:`tests.package_archives.a_wheel` makes it."""
        return self.offer(name, wheel_name(name, version), a_wheel(name, version, **wheel))

    def offer(self, name: str, filename: str, content: bytes, **given: Any) -> OfferedFile:
        offered = OfferedFile(filename, content, **given)
        self.files.setdefault(canonicalize_name(name), []).append(offered)
        return offered


@contextmanager
def local_index() -> Generator[LocalIndex]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Handler)
    index = LocalIndex(base=f"http://127.0.0.1:{server.server_address[1]}")
    server.index = index  # pyright: ignore[reportAttributeAccessIssue] (the handler finds it there)
    thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
    thread.start()
    try:
        yield index
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    @property
    def index(self) -> LocalIndex:
        return cast("Any", self.server).index

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 (the base names it)
        pass

    def do_HEAD(self) -> None:
        self._dispatch()

    def do_GET(self) -> None:
        self._dispatch()

    def do_POST(self) -> None:
        self._dispatch()

    def _dispatch(self) -> None:
        path = unquote(urlsplit(self.path).path)
        sent = self.rfile.read(int(self.headers.get("content-length", 0)))
        self.index.requests.append(f"{self.command} {path}")
        self.index.asked.set()
        for start, status in self.index.broken.items():
            if path.startswith(start):
                return self._send(status, b"")
        for pattern, answer in (
            (r"/simple/([^/]+)/", self._page),
            (r"/files/([^/]+)", self._file),
            (r"/pypi/([^/]+)/json", self._project),
            (r"/pypi/([^/]+)/([^/]+)/json", self._release),
            (r"/v1/vulns/([^/]+)", self._vulnerability),
        ):
            if found := re.fullmatch(pattern, path):
                return answer(*found.groups())
        if path == "/v1/querybatch" and self.command == "POST":
            return self._batch(json.loads(sent))
        return self._send(404, b"")

    def _page(self, name: str) -> None:
        if self.index.pages_held_until is not None:
            self.index.pages_held_until.wait(timeout=60)
        files = self.index.files.get(name)
        if files is None:
            return self._send(404, b"")
        if self.index.pages == "html":
            links = "".join(self._link(file) for file in files)
            page = f"<!DOCTYPE html><html><body>{links}</body></html>"
            return self._send(200, page.encode(), "text/html")
        entries = [
            {
                "filename": file.filename,
                "url": f"../../files/{file.filename}",
                "hashes": {"sha256": file.sha256},
                "size": file.size,
                "yanked": False if file.yanked is None else file.yanked or True,
            }
            for file in files
        ]
        page = {"meta": {"api-version": "1.1"}, "name": name, "files": entries}
        return self._send(200, json.dumps(page).encode(), JSON_PAGE)

    def _link(self, file: OfferedFile) -> str:
        yanked = "" if file.yanked is None else f' data-yanked="{html.escape(file.yanked)}"'
        href = f"../../files/{file.filename}#sha256={file.sha256}"
        return f'<a href="{href}"{yanked}>{file.filename}</a><br>'

    def _file(self, filename: str) -> None:
        offered = [
            file
            for files in self.index.files.values()
            for file in files
            if file.filename == filename
        ]
        if not offered:
            return self._send(404, b"")
        file = offered[0]
        if file.redirect_to is not None:
            return self._send(302, b"", location=file.redirect_to)
        return self._send(200, file.content, "application/octet-stream", held=file.held_until)

    def _project(self, name: str) -> None:
        files = self.index.files.get(name)
        if not files:
            return self._send(404, b"")
        releases: dict[str, list[dict[str, Any]]] = {}
        for file in files:
            releases.setdefault(file.version, []).append(_uploaded(file))
        info = self._info(name, files[-1])
        return self._send_json({"info": info, "releases": releases, "urls": []})

    def _release(self, name: str, version: str) -> None:
        files = [file for file in self.index.files.get(name, []) if file.version == version]
        if not files:
            return self._send(404, b"")
        uploaded = [_uploaded(file) for file in files]
        return self._send_json({"info": self._info(name, files[0]), "urls": uploaded})

    def _info(self, name: str, file: OfferedFile) -> dict[str, Any]:
        return {
            "name": name,
            "version": file.version,
            "summary": f"The package {name}.",
            "license": "MIT",
            "license_expression": None,
            "home_page": "",
            "project_urls": {"Homepage": "https://example.test/home"},
            "author": "Ada",
            "author_email": "",
            "requires_python": ">=3.8",
            "yanked": file.yanked is not None,
            "yanked_reason": file.yanked,
            "classifiers": [],
            "downloads": {"last_day": -1},
            **self.index.facts.get(name, {}),
        }

    def _batch(self, asked: dict[str, Any]) -> None:
        results: list[dict[str, Any]] = []
        for query in asked["queries"]:
            ids = self.index.known.get((query["package"]["name"], query["version"]), [])
            start = int(query.get("page_token", 0))
            end = start + self.index.vulnerabilities_a_page
            page = [{"id": found, "modified": UPLOADED_AT} for found in ids[start:end]]
            more = {"next_page_token": str(end)} if end < len(ids) else {}
            results.append(({"vulns": page} if page else {}) | more)
        self._send_json({"results": results})

    def _vulnerability(self, vuln_id: str) -> None:
        if vuln_id not in self.index.vulnerabilities:
            return self._send(404, b"")
        return self._send_json({"id": vuln_id} | self.index.vulnerabilities[vuln_id])

    def _send_json(self, value: dict[str, Any]) -> None:
        self._send(200, json.dumps(value).encode(), "application/json")

    def _send(
        self,
        status: int,
        body: bytes,
        media_type: str = "text/plain",
        *,
        location: str = "",
        held: threading.Event | None = None,
    ) -> None:
        self.send_response(status)
        self.send_header("content-type", media_type)
        self.send_header("content-length", str(len(body)))
        if location:
            self.send_header("location", location)
        self.end_headers()
        if self.command == "HEAD":
            return
        half = len(body) // 2 if held else len(body)
        try:
            self.wfile.write(body[:half])
            self.wfile.flush()
            if held is not None:
                held.wait(timeout=60)
                self.wfile.write(body[half:])
        except OSError:  # whoever asked has gone
            self.close_connection = True


def _uploaded(file: OfferedFile) -> dict[str, Any]:
    return {
        "filename": file.filename,
        "upload_time_iso_8601": file.uploaded_at,
        "size": file.size,
    }
