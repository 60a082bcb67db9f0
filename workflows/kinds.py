"""What differs between kinds of request: its checks, and the activity that applies it."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any

from mcpbox.domain.evidence import Check
from mcpbox.domain.subjects import Kind, Subject, requirements_in
from workflows.contracts import (
    ApplyRequest,
    EvidenceActivities,
    Examination,
    HostActivities,
    ModuleActivities,
    PublishActivities,
    ReleaseActivities,
    SecretActivities,
)

STORE_TIMEOUT = timedelta(seconds=10)
_CHECK_TIMEOUT = timedelta(seconds=90)
_CHECK_PATIENCE = timedelta(minutes=2)
_FETCH_TIMEOUT = timedelta(minutes=5)
_FETCH_PATIENCE = timedelta(minutes=6)


@dataclass(frozen=True, slots=True)
class Strategy:
    examinations: tuple[Callable[[Any, Examination], Awaitable[None]], ...]
    """Run side by side."""
    expected: tuple[Check, ...]
    """The evidence they leave; what is not there in the end is shown as missing."""
    apply: Callable[[Any, ApplyRequest], Awaitable[None]]
    check_timeout: timedelta = _CHECK_TIMEOUT
    check_patience: timedelta = _CHECK_PATIENCE
    """Over all tries of a check; then it is missing."""
    apply_timeout: timedelta = STORE_TIMEOUT

    @property
    def examines_at_once(self) -> bool:
        """Each check is a single transaction, which a workflow task has time for."""
        return self.check_timeout == STORE_TIMEOUT

    @property
    def applies_at_once(self) -> bool:
        """As above."""
        return self.apply_timeout == STORE_TIMEOUT


_OF_PUBLISH = (
    Check.MANIFEST,
    Check.GUARD,
    Check.STATIC,
    Check.CLAIMS,
    Check.TRIAL,
    Check.EGRESS,
    Check.SCHEMA_DIFF,
    Check.CODE_DIFF,
    Check.COMPOSITION,
)
_OF_RELEASES = (*_OF_PUBLISH, Check.RELEASES)
_OF_MODULES = (Check.PACKAGES, Check.VULNERABILITIES, Check.PACKAGE_FACTS)

STRATEGIES: dict[Kind, Strategy] = {
    Kind.PUBLISH: Strategy(
        examinations=(EvidenceActivities.examine_source, EvidenceActivities.try_out),
        expected=_OF_PUBLISH,
        apply=PublishActivities.apply_publish,
    ),
    Kind.MODULE_GRANT: Strategy(
        examinations=(ModuleActivities.examine_module,),
        expected=_OF_MODULES,
        apply=ModuleActivities.apply_module_grant,
        check_timeout=_FETCH_TIMEOUT,
        check_patience=_FETCH_PATIENCE,
        apply_timeout=_FETCH_TIMEOUT,
    ),
    Kind.ROLLBACK: Strategy(
        examinations=(
            EvidenceActivities.examine_source,
            EvidenceActivities.try_out,
            ReleaseActivities.examine_releases,
        ),
        expected=_OF_RELEASES,
        apply=ReleaseActivities.apply_rollback,
    ),
    Kind.RESTORE: Strategy(
        examinations=(
            EvidenceActivities.examine_source,
            EvidenceActivities.try_out,
            ReleaseActivities.examine_releases,
        ),
        expected=_OF_RELEASES,
        apply=ReleaseActivities.apply_restore,
    ),
    Kind.HOST_GRANT: Strategy(
        examinations=(HostActivities.examine_host,),
        expected=(Check.HOST,),
        apply=HostActivities.apply_host_grant,
        check_timeout=STORE_TIMEOUT,
    ),
    Kind.SECRET_BINDING: Strategy(
        examinations=(SecretActivities.examine_secret,),
        expected=(Check.SECRET,),
        apply=SecretActivities.apply_secret_binding,
        check_timeout=STORE_TIMEOUT,
    ),
}


def strategy_of(subject: Subject) -> Strategy:
    """A version that brings modules with it is looked at, and waited for, as those are too."""
    strategy = STRATEGIES[subject.kind]
    if subject.kind is not Kind.PUBLISH or not requirements_in(subject):
        return strategy
    return replace(
        strategy,
        examinations=(*strategy.examinations, ModuleActivities.examine_module),
        expected=(*strategy.expected, *_OF_MODULES),
        check_timeout=_FETCH_TIMEOUT,
        check_patience=_FETCH_PATIENCE,
        apply_timeout=_FETCH_TIMEOUT,
    )
