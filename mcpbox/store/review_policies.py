"""Queries on the review policy: its versions, and what the one of a request says of it."""

from datetime import datetime

from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncSession

from mcpbox.domain.base import Page, PageRequest
from mcpbox.domain.errors import NotFound
from mcpbox.domain.people import SYSTEM
from mcpbox.domain.review import ReviewTerms
from mcpbox.domain.review_policy import (
    Automatic,
    PolicyVersion,
    ReviewFacts,
    ReviewPolicy,
    SecuritySettings,
)
from mcpbox.policies.requirements import automatic_verdict, terms_for
from mcpbox.store.tables.review_policies import PolicyRow

BUILT_IN = PolicyVersion(
    version=0,
    policy=ReviewPolicy(),
    changed_by=SYSTEM.label,
    changed_at=None,
    reason="Built in: the strictest.",
)
CURRENT_VERSION = select(func.coalesce(func.max(PolicyRow.version), BUILT_IN.version))
"""What a request that opens now is judged by later."""


async def current_policy(session: AsyncSession) -> PolicyVersion:
    row = await session.scalar(select(PolicyRow).order_by(PolicyRow.version.desc()).limit(1))
    return BUILT_IN if row is None else _version(row)


async def _current_version(session: AsyncSession) -> int:
    return await session.scalar(CURRENT_VERSION) or BUILT_IN.version


async def security_settings(session: AsyncSession) -> SecuritySettings:
    return (await current_policy(session)).policy.settings


async def get_policy(session: AsyncSession, version: int) -> PolicyVersion:
    """Raises: NotFound."""
    if version == BUILT_IN.version:
        return BUILT_IN
    row = await session.get(PolicyRow, version)
    if row is None:
        raise NotFound("version of the review policy", version)
    return _version(row)


async def policies(session: AsyncSession, page: PageRequest) -> Page[PolicyVersion]:
    """Newest first; the built-in one is the last."""
    total = await _current_version(session) + 1
    rows = await session.scalars(
        select(PolicyRow)
        .order_by(PolicyRow.version.desc())
        .offset(page.offset)
        .limit(page.page_size)
    )
    found = [_version(row) for row in rows]
    if page.offset < total <= page.offset + page.page_size:
        found.append(BUILT_IN)
    return Page[PolicyVersion](items=found, total=total, page=page.page, page_size=page.page_size)


async def add_policy(
    session: AsyncSession,
    version: int,
    policy: ReviewPolicy,
    *,
    changed_by: str,
    changed_at: datetime,
    reason: str,
) -> PolicyVersion:
    """Raises: IntegrityError: somebody else made this version."""
    row = PolicyRow(
        version=version,
        policy=policy.model_dump(mode="json"),
        changed_by=changed_by,
        changed_at=changed_at,
        reason=reason,
    )
    session.add(row)
    await session.flush()
    return _version(row)


async def terms_of(
    session: AsyncSession, version: int, facts: ReviewFacts
) -> tuple[ReviewTerms, Automatic]:
    """What the policy that a request opened under asks of it, and what its rules say.

    Raises: NotFound: there is no such version.
    """
    policy = await get_policy(session, version)
    return terms_for(policy, facts), automatic_verdict(policy.policy, facts)


def _version(row: PolicyRow) -> PolicyVersion:
    return PolicyVersion(
        version=row.version,
        policy=ReviewPolicy.model_validate(row.policy),
        changed_by=row.changed_by,
        changed_at=row.changed_at,
        reason=row.reason,
    )
