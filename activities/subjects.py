"""The subject of a request, by the kind whose activity is asked."""

from mcpbox.domain.requests import ModuleSubject, PublishSubject
from workflows.contracts import Examination


def publication(given: Examination) -> PublishSubject:
    assert isinstance(given.subject, PublishSubject)
    return given.subject


def module(given: Examination) -> ModuleSubject:
    assert isinstance(given.subject, ModuleSubject)
    return given.subject
