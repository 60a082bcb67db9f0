"""Why nothing was resolved, in words for whoever asked."""

import platform
import re
from collections.abc import Sequence

import httpx
from packaging.requirements import InvalidRequirement
from packaging.requirements import Requirement as AnyRequirement
from packaging.specifiers import InvalidSpecifier, SpecifierSet
from packaging.tags import sys_tags
from packaging.utils import InvalidWheelFilename, canonicalize_name, parse_wheel_filename

from mcpbox.domain.errors import DomainError, Invalid, Refused, Unavailable
from mcpbox.domain.modules import Requirement
from mcpbox.domain.texts import made_keepable
from mcpbox.packages.pages import ListedFile, listed_files
from mcpbox.packages.pip_process import ADDRESS_EXIT
from mcpbox.packages.pip_run import PipRun
from mcpbox.packages.web import NoAnswer

INDEX = "The package index"
WHEELS_ONLY = "MCPbox installs wheels only, since a source package runs code while it is built."

_NOTHING_FOUND = re.compile(
    r"^ERROR: No matching distribution found for (.+?)(?: \(from .*\))?$", re.MULTILINE
)
_NEEDED_BY = re.compile(r"satisfies the requirement .+? \(from (?!versions:)([^()]+)\)")
_CONFLICT = re.compile(r"The conflict is caused by:\s*\n((?:[ \t]+\S.*(?:\n|$))+)")
_WRONG_BYTES = "DO NOT MATCH THE HASHES"
_BROKEN_OFF = re.compile(
    r"Max retries exceeded|incomplete-download|HTTP error \d|ReadTimeout|ConnectionError|"
    r"ProtocolError|ConnectionResetError"
)
_LAST_ERROR = re.compile(r"^ERROR: (.+)$", re.MULTILINE)
_OUR_FOLDER = re.compile(r"/\S*mcpbox-pip-\S*/")
_CRASHED = 2
_LINES_SHOWN = 6
_TEXT_SHOWN = 300
_VERSIONS_SHOWN = 5


async def refusal_of(
    run: PipRun, client: httpx.AsyncClient, index_url: str, wanted: Sequence[Requirement]
) -> DomainError:
    said = made_keepable(run.output)
    if run.code == ADDRESS_EXIT:
        return Refused(
            f"A package needs {said.splitlines()[-1][:_TEXT_SHOWN]!r} from an address instead of "
            "from the package index; MCPbox takes nothing from elsewhere."
        )
    if _WRONG_BYTES in said:
        return Refused("The package index sent a file that is not the one it announces.")
    if conflict := _CONFLICT.search(said):
        lines = [line.strip()[:_TEXT_SHOWN] for line in conflict[1].splitlines()[:_LINES_SHOWN]]
        return Invalid(f"These do not fit together: {'; '.join(lines)}. Change a version.")
    asked = [AnyRequirement(str(requirement)) for requirement in wanted]
    try:
        for missing in [*_missing(said), *asked]:
            files = await listed_files(client, index_url, canonicalize_name(missing.name))
            if reason := _lack(missing.name, missing.specifier, files):
                return _with_needer(reason, said)
    except NoAnswer as error:
        return Unavailable(INDEX, f"{error}.")
    if _BROKEN_OFF.search(said):
        return Unavailable(INDEX, "A file of it did not arrive.")
    return Refused(f"pip could not resolve this: {_last_words(run.code, said)}")


def _last_words(code: int, said: str) -> str:
    errors = _LAST_ERROR.findall(said)
    if code < 0:
        return f"it was stopped by signal {-code}."
    if code == _CRASHED or not errors:
        kind = said.strip().rpartition("\n")[2].partition(":")[0]
        return f"it broke off with {kind[:_TEXT_SHOWN]}."
    return _OUR_FOLDER.sub("", errors[-1])[:_TEXT_SHOWN]


def _missing(said: str) -> list[AnyRequirement]:
    try:
        return [AnyRequirement(text.strip()) for text in _NOTHING_FOUND.findall(said)]
    except InvalidRequirement:
        return []


def _with_needer(reason: DomainError, said: str) -> DomainError:
    needers = _NEEDED_BY.findall(said)
    if not needers:
        return reason
    return type(reason)(f"{reason} It is needed by {needers[-1][:_TEXT_SHOWN]}.")


def _lack(
    name: str, specifier: SpecifierSet, files: Sequence[ListedFile] | None
) -> DomainError | None:
    """``None``: the index has something that fits."""
    if files is None:
        return Invalid(f"The package index has no package {name!r}; check its name.")
    found = {file: version for file in files if (version := file.version) is not None}
    fitting = [
        file for file, version in found.items() if specifier.contains(version, prereleases=True)
    ]
    if not fitting:
        newest = sorted(set(found.values()), reverse=True)[:_VERSIONS_SHOWN]
        listed = ", ".join(map(str, newest)) or "none"
        return Invalid(f"No version of {name} fits {specifier}; the newest are: {listed}.")
    kept = [file for file in fitting if file.yanked is None]
    if not kept:
        return yanked(name, str(found[fitting[-1]]), fitting[-1].yanked or "")
    newest_version = max(found[file] for file in kept)
    wheels = [file for file in kept if file.is_wheel]
    if not wheels:
        return Refused(f"{name} {newest_version} has no wheel. {WHEELS_ONLY}")
    python = platform.python_version()
    if not any(_runs_on(file.requires_python, python) for file in wheels):
        needs = wheels[-1].requires_python
        return Refused(f"{name} {newest_version} needs Python {needs}; here is {python}.")
    if not any(_has_our_tag(file.filename) for file in wheels):
        return Refused(
            f"{name} {newest_version} has no wheel for Python {python} on {platform.machine()}."
        )
    if all(found[file].is_prerelease for file in wheels):
        return Invalid(f"{name} has only pre-releases; ask for one: =={newest_version}.")
    return None


def yanked(name: str, version: str, reason: str) -> Refused:
    told = f": {made_keepable(reason)[:_TEXT_SHOWN]}" if reason.strip() else ", without a reason"
    return Refused(
        f"{name} {version} was yanked (withdrawn by its authors){told}. Ask for another version."
    )


def _runs_on(requires_python: str, python: str) -> bool:
    try:
        return SpecifierSet(requires_python).contains(python, prereleases=True)
    except InvalidSpecifier:
        return True


def _has_our_tag(filename: str) -> bool:
    try:
        return not parse_wheel_filename(filename)[3].isdisjoint(sys_tags())
    except InvalidWheelFilename:
        return False
