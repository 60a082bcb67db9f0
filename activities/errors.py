"""Temporal's face of our errors."""

from collections.abc import Generator
from contextlib import contextmanager

from temporalio.exceptions import ApplicationError

from mcpbox.domain.errors import DomainError, TooManyAttempts, Unavailable


@contextmanager
def final_domain_errors() -> Generator[None]:
    """Raise domain errors as non-retryable; what may be better later keeps its retries."""
    try:
        yield
    except (Unavailable, TooManyAttempts) as error:
        raise ApplicationError(str(error), type=type(error).__name__) from error
    except DomainError as error:
        kind = type(error).__name__
        raise ApplicationError(str(error), type=kind, non_retryable=True) from error
