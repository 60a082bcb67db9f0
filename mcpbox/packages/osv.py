"""Known vulnerabilities of pinned wheels. Source: the OSV API and the OSV schema."""

import asyncio
from collections.abc import Sequence

import httpx
from packaging.utils import canonicalize_name
from pydantic import Field

from mcpbox.domain.modules import Checked, PinnedWheel, Vulnerability
from mcpbox.domain.texts import made_keepable
from mcpbox.packages.facts import OFF
from mcpbox.packages.web import Document, NoAnswer, ask, same_origin_client, service_address

_ECOSYSTEM = "PyPI"
_PAGES_MAX = 10
_DETAILS_MAX = 200
_DETAILS_AT_ONCE = 8
_SHOWN = 300
_UNREAD = "Its details could not be read."


class OSV:
    def __init__(self, base_url: str) -> None:
        """An empty address switches the check off. Raises: Invalid."""
        self._url = service_address("MCPBOX_OSV_URL", base_url) if base_url else ""

    async def vulnerabilities(
        self, wheels: Sequence[PinnedWheel]
    ) -> Checked[tuple[Vulnerability, ...]]:
        """Sorted by package and id; entries that are each other's aliases are one.

        An id whose details cannot be read is still in it: it is known, only not described.
        """
        if not self._url:
            return Checked(not_checked=OFF)
        try:
            async with same_origin_client(self._url) as client:
                ids = await self._ids(client, wheels)
                found = await self._described(client, ids)
        except NoAnswer as error:
            return Checked(not_checked=str(error))
        return Checked(value=_merged(found))

    async def _ids(
        self, client: httpx.AsyncClient, wheels: Sequence[PinnedWheel]
    ) -> list[tuple[PinnedWheel, str]]:
        """Raises: NoAnswer, also when not every page of the answer was read."""
        found: list[tuple[PinnedWheel, str]] = []
        waiting = [(wheel, "") for wheel in wheels]
        for _ in range(_PAGES_MAX):
            if not waiting:
                return found
            queries = [_query(wheel, token) for wheel, token in waiting]
            url = f"{self._url}/v1/querybatch"
            answer = await ask(client, "POST", url, _Batch, json={"queries": queries})
            if len(answer.results) != len(waiting):
                raise NoAnswer("the vulnerability database left questions without an answer")
            answered = list(zip(waiting, answer.results, strict=True))
            found += [(wheel, vuln.id) for (wheel, _), page in answered for vuln in page.vulns]
            waiting = [
                (wheel, page.next_page_token)
                for (wheel, _), page in answered
                if page.next_page_token
            ]
        if waiting:
            raise NoAnswer("the vulnerability database has more entries than are read")
        return found

    async def _described(
        self, client: httpx.AsyncClient, ids: Sequence[tuple[PinnedWheel, str]]
    ) -> list[Vulnerability]:
        places = asyncio.Semaphore(_DETAILS_AT_ONCE)
        wanted = list(dict.fromkeys(vuln_id for _, vuln_id in ids))[:_DETAILS_MAX]

        async def entry(vuln_id: str) -> "_Entry | None":
            async with places:
                try:
                    return await ask(client, "GET", f"{self._url}/v1/vulns/{vuln_id}", _Entry)
                except NoAnswer:
                    return None

        entries = dict(zip(wanted, await asyncio.gather(*map(entry, wanted)), strict=True))
        return [
            _vulnerability(wheel, vuln_id, described)
            for wheel, vuln_id in ids
            if not ((described := entries.get(vuln_id)) and described.withdrawn)
        ]


class _Id(Document):
    id: str = Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._:-]*$", max_length=100)


class _Page(Document):
    vulns: list[_Id] = Field(default_factory=list)
    next_page_token: str = ""


class _Batch(Document):
    results: list[_Page]


class _Affected(Document):
    class Package(Document):
        name: str = ""
        ecosystem: str = ""

    class Range(Document):
        type: str = ""
        events: list[dict[str, str]] = Field(default_factory=list)

    package: Package = Package()
    ranges: list[Range] = Field(default_factory=list)


class _Severity(Document):
    type: str = ""
    score: str = ""


class _Rating(Document):
    severity: str | None = None


class _Entry(Document):
    aliases: list[str] = Field(default_factory=list)
    summary: str = ""
    details: str = ""
    withdrawn: str | None = None
    severity: list[_Severity] = Field(default_factory=list)
    affected: list[_Affected] = Field(default_factory=list)
    database_specific: _Rating = _Rating()


def _query(wheel: PinnedWheel, token: str) -> dict[str, object]:
    package = {"name": wheel.package, "ecosystem": _ECOSYSTEM}
    query: dict[str, object] = {"package": package, "version": wheel.version}
    return query | ({"page_token": token} if token else {})


def _vulnerability(wheel: PinnedWheel, vuln_id: str, entry: _Entry | None) -> Vulnerability:
    if entry is None:
        entry = _Entry(summary=_UNREAD)
    vectors = [rating.score for rating in entry.severity]
    fixed = {
        event["fixed"]
        for affected in entry.affected
        if affected.package.ecosystem == _ECOSYSTEM
        and canonicalize_name(affected.package.name) == wheel.package
        for span in affected.ranges
        if span.type == "ECOSYSTEM"
        for event in span.events
        if "fixed" in event
    }
    return Vulnerability(
        id=vuln_id,
        aliases=tuple(sorted(map(_short, entry.aliases))),
        summary=_short(entry.summary or entry.details),
        severity=_short((entry.database_specific.severity or next(iter(vectors), "")).strip()),
        fixed_in=tuple(sorted(map(_short, fixed))),
        package=wheel.package,
        version=wheel.version,
    )


def _merged(found: Sequence[Vulnerability]) -> tuple[Vulnerability, ...]:
    """The same hole is often listed by several databases, and rated by one of them only."""
    kept: list[Vulnerability] = []
    for vuln in sorted(found, key=lambda v: (v.package, not v.severity, v.id)):
        names = {vuln.id, *vuln.aliases}
        twin = next(
            (
                place
                for place, other in enumerate(kept)
                if other.package == vuln.package and names & {other.id, *other.aliases}
            ),
            None,
        )
        if twin is None:
            kept.append(vuln)
            continue
        other = kept[twin]
        kept[twin] = other.model_copy(
            update={
                "aliases": tuple(sorted((names | {*other.aliases}) - {other.id})),
                "summary": other.summary or vuln.summary,
                "fixed_in": tuple(sorted({*other.fixed_in, *vuln.fixed_in})),
            }
        )
    return tuple(sorted(kept, key=lambda vuln: (vuln.package, vuln.id)))


def _short(text: str) -> str:
    return made_keepable(" ".join(text.split()))[:_SHOWN]
