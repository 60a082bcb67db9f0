"""Facts and vulnerabilities, in the forms their services document; silence is not "clean"."""

from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from typing import Any

import pytest

from mcpbox.domain.errors import Invalid
from mcpbox.domain.modules import Checked, PackageFacts, PinnedWheel, Vulnerability
from mcpbox.packages.facts import PyPI
from mcpbox.packages.osv import OSV
from tests.package_index import LocalIndex

FIXED_IN_2 = {
    "package": {"name": "Alpha", "ecosystem": "PyPI"},
    "ranges": [
        {"type": "ECOSYSTEM", "events": [{"introduced": "0"}, {"fixed": "2.0"}]},
        {"type": "GIT", "repo": "any", "events": [{"fixed": "0123abcd"}]},
    ],
}


def a_pin(package: str = "alpha", version: str = "1.0") -> PinnedWheel:
    return PinnedWheel(
        package=package,
        version=version,
        filename=f"{package}-{version}-py3-none-any.whl",
        sha256="0" * 64,
        size=1,
        url="",
    )


def know(offered: LocalIndex, vuln_id: str, package: str = "alpha", **entry: Any) -> None:
    offered.known.setdefault((package, "1.0"), []).append(vuln_id)
    offered.vulnerabilities[vuln_id] = {"summary": f"About {vuln_id}.", "affected": []} | entry


async def facts_from(address: str) -> Checked[PackageFacts]:
    return await PyPI(address).facts("alpha", "1.0")


async def vulnerabilities_from(address: str) -> Checked[tuple[Vulnerability, ...]]:
    return await OSV(address).vulnerabilities([a_pin()])


async def found_by(offered: LocalIndex) -> tuple[Vulnerability, ...]:
    checked = await OSV(offered.base).vulnerabilities([a_pin("beta"), a_pin()])
    assert checked.value is not None
    return checked.value


CHECKS = pytest.mark.parametrize("check", [facts_from, vulnerabilities_from])
Check = Callable[[str], Awaitable[Checked[Any]]]


@CHECKS
async def test_a_service_that_is_not_there_reads_not_checked(check: Check, nowhere: str) -> None:
    checked = await check(nowhere)

    assert checked.value is None
    assert checked.not_checked == "127.0.0.1 could not be reached"


@CHECKS
async def test_a_check_that_is_switched_off_reads_not_checked(check: Check) -> None:
    checked = await check("")

    assert checked.value is None
    assert checked.not_checked == "switched off"


@CHECKS
async def test_a_service_that_fails_is_asked_twice_and_reads_not_checked(
    check: Check, offered: LocalIndex
) -> None:
    offered.broken["/"] = 503

    checked = await check(offered.base)

    assert checked.value is None
    assert checked.not_checked == "127.0.0.1 answered 503"
    assert len(offered.requests) == 2


@CHECKS
async def test_an_answer_in_another_form_reads_not_checked(
    check: Check, offered: LocalIndex
) -> None:
    offered.broken["/"] = 200

    checked = await check(offered.base)

    assert checked.value is None
    assert "form" in checked.not_checked


@pytest.mark.parametrize("client", [PyPI, OSV])
def test_an_address_that_cannot_be_used_is_refused(client: Callable[[str], object]) -> None:
    with pytest.raises(Invalid):
        client("https://user:word@host")


async def test_facts_are_those_of_the_version_and_of_the_package(offered: LocalIndex) -> None:
    offered.add("alpha", "1.0")
    offered.add("alpha", "2.0")
    offered.facts["alpha"] = {"summary": "Two\nlines", "license_expression": "Apache-2.0"}

    facts = (await facts_from(offered.base)).value

    uploaded = datetime(2024, 2, 3, 4, 5, 6, 7, tzinfo=UTC)
    assert facts is not None
    assert (facts.package, facts.version, facts.latest_version) == ("alpha", "1.0", "2.0")
    assert (facts.summary, facts.license, facts.author) == ("Two lines", "Apache-2.0", "Ada")
    assert facts.home_page == "https://example.test/home"
    assert (facts.first_released_at, facts.released_at) == (uploaded, uploaded)
    assert facts.release_count == 2
    assert facts.requires_python == ">=3.8"
    assert not facts.yanked


async def test_facts_say_that_a_version_was_yanked(offered: LocalIndex) -> None:
    offered.add("alpha").yanked = "broken"

    facts = (await facts_from(offered.base)).value

    assert facts is not None
    assert (facts.yanked, facts.yanked_reason) == (True, "broken")


async def test_a_package_that_the_service_does_not_know_reads_not_checked(
    offered: LocalIndex,
) -> None:
    checked = await facts_from(offered.base)

    assert checked.not_checked == "127.0.0.1 does not know it"
    assert len(offered.requests) == 1


async def test_no_known_vulnerability_is_a_value(offered: LocalIndex) -> None:
    checked = await vulnerabilities_from(offered.base)

    assert checked.value == ()
    assert checked.not_checked == ""


async def test_a_known_vulnerability_is_described(offered: LocalIndex) -> None:
    know(
        offered,
        "GHSA-aaaa",
        aliases=["CVE-2024-1"],
        affected=[FIXED_IN_2],
        database_specific={"severity": "HIGH"},
        severity=[{"type": "CVSS_V3", "score": "CVSS:3.1/AV:N"}],
    )

    (found,) = await found_by(offered)

    assert (found.id, found.aliases, found.package) == ("GHSA-aaaa", ("CVE-2024-1",), "alpha")
    assert (found.summary, found.severity) == ("About GHSA-aaaa.", "HIGH")
    assert found.fixed_in == ("2.0",)


async def test_entries_for_the_same_hole_are_one(offered: LocalIndex) -> None:
    know(offered, "PYSEC-1", aliases=["CVE-2024-1"], summary="", details="", affected=[FIXED_IN_2])
    know(offered, "GHSA-aaaa", aliases=["CVE-2024-1"], database_specific={"severity": "LOW"})

    (found,) = await found_by(offered)

    assert (found.id, found.aliases) == ("GHSA-aaaa", ("CVE-2024-1", "PYSEC-1"))
    assert (found.severity, found.fixed_in) == ("LOW", ("2.0",))


async def test_a_withdrawn_entry_is_left_out(offered: LocalIndex) -> None:
    know(offered, "PYSEC-1", withdrawn="2024-01-01T00:00:00Z")

    assert await found_by(offered) == ()


async def test_every_page_of_the_answer_is_read(offered: LocalIndex) -> None:
    offered.vulnerabilities_a_page = 2
    for number in range(5):
        know(offered, f"PYSEC-{number}")

    found = await found_by(offered)

    assert [vuln.id for vuln in found] == [f"PYSEC-{number}" for number in range(5)]


async def test_an_answer_without_end_reads_not_checked(offered: LocalIndex) -> None:
    offered.vulnerabilities_a_page = 1
    for number in range(30):
        know(offered, f"PYSEC-{number}")

    checked = await vulnerabilities_from(offered.base)

    assert checked.value is None
    assert "more entries than are read" in checked.not_checked


async def test_an_entry_that_cannot_be_read_is_still_named(offered: LocalIndex) -> None:
    know(offered, "PYSEC-1")
    offered.broken["/v1/vulns/"] = 503

    (found,) = await found_by(offered)

    assert found.id == "PYSEC-1"
    assert found.summary == "Its details could not be read."
