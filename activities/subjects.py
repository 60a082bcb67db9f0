"""The subject of a request, by the kind whose activity is asked."""

from mcpbox.domain.subjects import HostSubject, ModuleSubject, SecretSubject, VersionSubject
from workflows.contracts import Examination


def publication(given: Examination) -> VersionSubject:
    assert isinstance(given.subject, VersionSubject)
    return given.subject


def module(given: Examination) -> ModuleSubject:
    assert isinstance(given.subject, ModuleSubject)
    return given.subject


def host(given: Examination) -> HostSubject:
    assert isinstance(given.subject, HostSubject)
    return given.subject


def secret(given: Examination) -> SecretSubject:
    assert isinstance(given.subject, SecretSubject)
    return given.subject
