"""The review policy: read it, change it, its versions, and a dry run of another one."""

from typing import Annotated

from fastapi import APIRouter, Path

from api.deps import PageDep, PartsDep, PersonDep
from api.problems import problems
from mcpbox.domain.base import Page
from mcpbox.domain.dry_runs import DryRun, Proposal
from mcpbox.domain.errors import Conflict, Invalid, NotFound, Refused
from mcpbox.domain.review_policy import PolicyChange, PolicyVersion

router = APIRouter(prefix="/review-policy", tags=["review policy"])
_INT32_MAX = 2**31 - 1


@router.get("", responses=problems())
async def get_policy(_: PersonDep, parts: PartsDep) -> PolicyVersion:
    """The version in force: requirements, overrides, rules and security settings."""
    return await parts.review_policies.current()


@router.put("", responses=problems(Refused, Conflict, Invalid))
async def change_policy(person: PersonDep, parts: PartsDep, change: PolicyChange) -> PolicyVersion:
    """Make the next version; for admins.

    409 when ``expected_version`` is not in force any more. Open requests keep their version.
    """
    return await parts.review_policies.change(person, change)


@router.get("/versions", responses=problems())
async def list_versions(_: PersonDep, parts: PartsDep, page: PageDep) -> Page[PolicyVersion]:
    """Newest first, with who changed it, when and why; version 0 is built in."""
    return await parts.review_policies.versions(page)


@router.get("/versions/{version}", responses=problems(NotFound))
async def get_version(
    _: PersonDep, parts: PartsDep, version: Annotated[int, Path(ge=0, le=_INT32_MAX)]
) -> PolicyVersion:
    """Any version that was ever in force; a request names the one it is judged by."""
    return await parts.review_policies.get(version)


@router.post("/dry-run", responses=problems(Invalid))
async def dry_run(_: PersonDep, parts: PartsDep, proposal: Proposal) -> DryRun:
    """Try a policy, or some more rules, on everything that was ever decided; changes nothing."""
    return await parts.review_policies.dry_run(proposal)
