"""What an index lists for one package. Source: PEP 503, 592, 691, 700."""

import asyncio
from dataclasses import dataclass
from html.parser import HTMLParser
from urllib.parse import parse_qs, urldefrag, urljoin

import httpx
from packaging.utils import (
    InvalidSdistFilename,
    InvalidWheelFilename,
    parse_sdist_filename,
    parse_wheel_filename,
)
from packaging.version import InvalidVersion, Version
from pydantic import Field

from mcpbox.packages.web import Document, NotThere, in_form, read

_ACCEPT = "application/vnd.pypi.simple.v1+json, text/html;q=0.5"


@dataclass(frozen=True)
class ListedFile:
    filename: str
    url: str
    sha256: str | None
    size: int | None
    """In bytes; an HTML page does not say it."""
    yanked: str | None
    """The reason, perhaps empty; ``None`` when it is not yanked."""
    requires_python: str

    @property
    def is_wheel(self) -> bool:
        return self.filename.endswith(".whl")

    @property
    def version(self) -> Version | None:
        """``None`` for a file that installers do not look at."""
        try:
            if self.is_wheel:
                return parse_wheel_filename(self.filename)[1]
            return parse_sdist_filename(self.filename)[1]
        except (InvalidWheelFilename, InvalidSdistFilename, InvalidVersion):
            return None


async def listed_files(
    client: httpx.AsyncClient, index_url: str, package: str
) -> tuple[ListedFile, ...] | None:
    """``None`` when the index has no such package. Raises: NoAnswer."""
    url = f"{index_url}/{package}/"
    try:
        answer = await read(client, "GET", url, headers={"accept": _ACCEPT})
    except NotThere:
        return None
    # Of a package with thousands of files it is megabytes, and others wait for this loop.
    return await asyncio.to_thread(_files_on, answer, url)


def _files_on(answer: httpx.Response, url: str) -> tuple[ListedFile, ...]:
    if "json" in answer.headers["content-type"]:
        page = in_form(answer, _Page, httpx.URL(url).host)
        return tuple(entry.listed(url) for entry in page.files)
    links = _Links(url)
    links.feed(answer.text)
    return tuple(links.found)


class _Entry(Document):
    filename: str
    url: str
    hashes: dict[str, str] = Field(default_factory=dict)
    size: int | None = Field(default=None, ge=0)
    yanked: bool | str = False
    requires_python: str | None = Field(default=None, alias="requires-python")

    def listed(self, page_url: str) -> ListedFile:
        reason = self.yanked if isinstance(self.yanked, str) else ""
        return ListedFile(
            filename=self.filename,
            url=urljoin(page_url, self.url),
            sha256=self.hashes.get("sha256"),
            size=self.size,
            yanked=None if self.yanked is False else reason,
            requires_python=self.requires_python or "",
        )


class _Page(Document):
    files: list[_Entry]


class _Links(HTMLParser):
    def __init__(self, page_url: str) -> None:
        super().__init__()
        self.found: list[ListedFile] = []
        self._base = page_url
        self._open: dict[str, str | None] | None = None
        self._text = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        if tag == "base" and given.get("href"):
            self._base = urljoin(self._base, given["href"])
        elif tag == "a":
            self._open, self._text = given, ""

    def handle_data(self, data: str) -> None:
        self._text += data

    def handle_endtag(self, tag: str) -> None:
        if tag != "a" or self._open is None:
            return
        url, fragment = urldefrag(urljoin(self._base, self._open.get("href") or ""))
        hashes = parse_qs(fragment).get("sha256")
        yanked = (self._open["data-yanked"] or "") if "data-yanked" in self._open else None
        self.found.append(
            ListedFile(
                filename=self._text.strip(),
                url=url,
                sha256=hashes[0] if hashes else None,
                size=None,
                yanked=yanked,
                requires_python=self._open.get("data-requires-python") or "",
            )
        )
        self._open = None
