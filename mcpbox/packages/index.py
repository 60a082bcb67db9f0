"""The package index: what a requirement resolves to, and the wheels themselves."""

import asyncio
import hashlib
import sys
import sysconfig
from collections.abc import Sequence
from http import HTTPStatus
from urllib.parse import unquote, urldefrag, urlsplit

import httpx
from packaging.utils import InvalidWheelFilename, canonicalize_name, parse_wheel_filename
from pydantic import ValidationError

from mcpbox.domain.errors import Invalid, Refused, Unavailable
from mcpbox.domain.modules import (
    WHEELS_MAX,
    WHEELS_MAX_BYTES,
    PinnedWheel,
    Requirement,
    WheelLock,
)
from mcpbox.packages.pages import ListedFile, listed_files
from mcpbox.packages.pip_run import Chosen, run_pip
from mcpbox.packages.refusals import INDEX, WHEELS_ONLY, refusal_of, yanked
from mcpbox.packages.web import LedAway, NoAnswer, same_origin_client, service_address

_RESOLVE_TIMEOUT_S = 120.0
_FETCH_TIMEOUT_S = 180.0
_PAGES_AT_ONCE = 8
_AS_IT_IS = {"accept-encoding": "identity"}


class PackageIndex:
    """Speaks the simple repository API; runs no code of any package.

    Source: PEP 503, 691. Keeps no connection, so there is nothing to close.
    """

    def __init__(
        self,
        index_url: str,
        *,
        resolve_timeout_s: float = _RESOLVE_TIMEOUT_S,
        fetch_timeout_s: float = _FETCH_TIMEOUT_S,
    ) -> None:
        """Raises: Invalid: the address is none, or holds credentials."""
        self._url = service_address("MCPBOX_PACKAGE_INDEX_URL", index_url)
        self._schemes = ("https", "http") if self._url.startswith("http://") else ("https",)
        self._resolve_timeout_s = resolve_timeout_s
        self._fetch_timeout_s = fetch_timeout_s

    async def resolve(self, requirements: Sequence[Requirement]) -> WheelLock:
        """The wheels that all requirements need together, chosen for the Python we run on.

        Raises: Invalid: no such package or version, or a conflict; Refused: only as source,
        yanked, too many, too large, or from elsewhere; Unavailable.
        """
        if not requirements:
            raise Invalid("No module was asked for.")
        asked = sorted({str(requirement) for requirement in requirements})
        run = await run_pip(self._url, asked, timeout_s=self._resolve_timeout_s)
        async with same_origin_client(self._url) as client:
            if run.report is None:
                raise await refusal_of(run, client, self._url, requirements)
            chosen = run.report.install
            if len(chosen) > WHEELS_MAX:
                raise Refused(
                    f"This needs {len(chosen)} packages; at most {WHEELS_MAX} are installed."
                )
            places = asyncio.Semaphore(_PAGES_AT_ONCE)

            async def pin(item: Chosen) -> PinnedWheel:
                async with places:
                    return await self._pinned(client, item)

            pinned = await asyncio.gather(*map(pin, chosen), return_exceptions=True)
        wheels = [_wheel_or_raise(found) for found in pinned]
        total = sum(wheel.size for wheel in wheels)
        if total > WHEELS_MAX_BYTES:
            raise Refused(
                f"This needs {_megabytes(total)}; at most {_megabytes(WHEELS_MAX_BYTES)}."
            )
        return WheelLock(
            requirements=tuple(sorted(set(requirements), key=lambda r: (r.module, str(r)))),
            wheels=tuple(sorted(wheels, key=lambda wheel: wheel.filename)),
            python=f"{sys.version_info.major}.{sys.version_info.minor}",
            platform=sysconfig.get_platform(),
        )

    async def fetch(self, wheel: PinnedWheel) -> bytes:
        """The bytes that were pinned, and no other.

        Raises: Refused: other bytes, another host, or it is gone; Unavailable.
        """
        self._require_safe(wheel.url, wheel.filename)
        try:
            async with (
                asyncio.timeout(self._fetch_timeout_s),
                same_origin_client(wheel.url) as client,
                client.stream("GET", wheel.url, headers=_AS_IT_IS) as response,
            ):
                return await _checked_bytes(response, wheel)
        except LedAway as error:
            raise Refused(f"{wheel.filename} was not fetched: {error}.") from error
        except (httpx.HTTPError, httpx.InvalidURL, TimeoutError) as error:
            raise Unavailable(INDEX, f"{wheel.filename} did not arrive; try again.") from error

    async def _pinned(self, client: httpx.AsyncClient, chosen: Chosen) -> PinnedWheel:
        url = urldefrag(chosen.download_info.url).url
        filename = unquote(urlsplit(url).path.rpartition("/")[2])
        name = canonicalize_name(chosen.metadata.name)
        self._require_safe(url, filename)
        version = _version_of(filename, name)
        if chosen.is_direct or version is None:
            raise Refused(f"{filename!r} is not a wheel of {name}. {WHEELS_ONLY}")
        listed = await self._listed(client, name, filename)
        if chosen.is_yanked or listed.yanked is not None:
            raise yanked(name, version, listed.yanked or "")
        sha256 = chosen.download_info.archive_info.hashes.get("sha256")
        if sha256 is None or sha256 != (listed.sha256 or sha256):
            raise Refused(f"The package index gives no SHA-256, or two different, for {filename}.")
        size = listed.size or await self._announced_size(url, filename)
        try:
            return PinnedWheel(
                package=name, version=version, filename=filename, sha256=sha256, size=size, url=url
            )
        except ValidationError as error:
            raise Refused(f"The package index describes {filename!r} in an odd way.") from error

    async def _listed(self, client: httpx.AsyncClient, name: str, filename: str) -> ListedFile:
        for file in await listed_files(client, self._url, name) or ():
            if file.filename == filename:
                return file
        raise Refused(f"The package index no longer lists {filename}; ask again.")

    async def _announced_size(self, url: str, filename: str) -> int:
        """For an index whose pages do not say it. Raises: NoAnswer; Refused."""
        async with same_origin_client(url) as client:
            try:
                answer = await client.head(url, headers=_AS_IT_IS)
            except (httpx.HTTPError, httpx.InvalidURL) as error:
                raise NoAnswer("it did not say how large a file is") from error
        length = answer.headers.get("content-length", "")
        if answer.status_code != HTTPStatus.OK or not length.isdecimal() or int(length) < 1:
            raise Refused(f"The package index does not say how large {filename} is.")
        return int(length)

    def _require_safe(self, url: str, filename: str) -> None:
        parts = urlsplit(url)
        if parts.scheme not in self._schemes or not parts.hostname or "@" in parts.netloc:
            raise Refused(
                f"The package index gives {filename!r} at an address that is not https, or that "
                "holds credentials."
            )


async def _checked_bytes(response: httpx.Response, wheel: PinnedWheel) -> bytes:
    """Raises: Refused, as soon as there is more than was announced; Unavailable."""
    if response.status_code in (HTTPStatus.NOT_FOUND, HTTPStatus.GONE):
        raise Refused(f"The package index no longer has {wheel.filename}.")
    if response.status_code != HTTPStatus.OK:
        raise Unavailable(INDEX, f"It answered {response.status_code}.")
    seen, body = hashlib.sha256(), bytearray()
    async for part in response.aiter_raw():
        body += part
        seen.update(part)
        if len(body) > wheel.size:
            raise Refused(f"{wheel.filename} is larger than the {wheel.size} bytes it had.")
    if len(body) != wheel.size or seen.hexdigest() != wheel.sha256:
        raise Refused(
            f"{wheel.filename} is not what was pinned: {len(body)} bytes with SHA-256 "
            f"{seen.hexdigest()} instead of {wheel.size} with {wheel.sha256}."
        )
    return bytes(body)


def _version_of(filename: str, package: str) -> str | None:
    """In its normal form; ``None`` when it is not a wheel of that package."""
    try:
        name, version, _, _ = parse_wheel_filename(filename)
    except InvalidWheelFilename:
        return None
    return str(version) if name == package else None


def _wheel_or_raise(found: PinnedWheel | BaseException) -> PinnedWheel:
    if isinstance(found, NoAnswer):
        raise Unavailable(INDEX, f"{found}.") from found
    if isinstance(found, BaseException):
        raise found
    return found


def _megabytes(size: int) -> str:
    return f"{size / 2**20:.1f} MB"
