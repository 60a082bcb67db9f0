"""What the index's operator says of a package. Source: PyPI's JSON API."""

from collections.abc import Mapping

from pydantic import AwareDatetime, Field

from mcpbox.domain.modules import Checked, PackageFacts
from mcpbox.domain.texts import made_keepable
from mcpbox.packages.web import Document, NoAnswer, ask, same_origin_client, service_address

OFF = "switched off"
_SHOWN = 300


class PyPI:
    def __init__(self, base_url: str) -> None:
        """An empty address switches the check off. Raises: Invalid."""
        self._url = service_address("MCPBOX_PYPI_URL", base_url) if base_url else ""

    async def facts(self, package: str, version: str) -> Checked[PackageFacts]:
        """``package`` in its normal form."""
        if not self._url:
            return Checked(not_checked=OFF)
        base = f"{self._url}/pypi/{package}"
        try:
            async with same_origin_client(self._url) as client:
                release = await ask(client, "GET", f"{base}/{version}/json", _Answer)
                project = await ask(client, "GET", f"{base}/json", _Answer)
        except NoAnswer as error:
            return Checked(not_checked=str(error))
        return Checked(value=_facts(package, version, release, project))


class _Info(Document):
    version: str
    summary: str | None = None
    license: str | None = None
    license_expression: str | None = None
    home_page: str | None = None
    project_urls: dict[str, str] | None = None
    author: str | None = None
    author_email: str | None = None
    requires_python: str | None = None
    yanked: bool = False
    yanked_reason: str | None = None


class _File(Document):
    upload_time_iso_8601: AwareDatetime


class _Answer(Document):
    info: _Info
    urls: list[_File] = Field(default_factory=list)
    releases: Mapping[str, list[_File]] | None = None
    """Of a whole project; announced to go one day."""


def _facts(package: str, version: str, release: _Answer, project: _Answer) -> PackageFacts:
    info = release.info
    releases = {name: files for name, files in (project.releases or {}).items() if files}
    times = [file.upload_time_iso_8601 for files in releases.values() for file in files]
    return PackageFacts(
        package=package,
        version=version,
        summary=_short(info.summary),
        license=_short(info.license_expression, info.license),
        home_page=_short(info.home_page, *_home_pages(info.project_urls or {})),
        author=_short(info.author, info.author_email),
        first_released_at=min(times, default=None),
        released_at=min((file.upload_time_iso_8601 for file in release.urls), default=None),
        release_count=len(releases) or None,
        yanked=info.yanked,
        yanked_reason=_short(info.yanked_reason),
        requires_python=_short(info.requires_python),
        latest_version=_short(project.info.version),
    )


def _home_pages(urls: Mapping[str, str]) -> list[str]:
    known = {label.lower(): url for label, url in urls.items()}
    return [
        known[label] for label in ("homepage", "home", "source", "repository") if label in known
    ]


def _short(*texts: str | None) -> str:
    """The first that says anything, in one line."""
    said = next((text for text in texts if text and text.strip()), "")
    return made_keepable(" ".join(said.split()))[:_SHOWN]
