"""What no answer may ever contain."""

from tests.instances import Installed

_INTERNALS = (
    "Traceback",
    "asyncpg",
    "sqlalchemy",
    "sqlalche.me",
    "temporalio",
    "/work",
    "site-packages",
    "Internal error",
    "Something went wrong on our side",
)


def assert_tells_nothing_inside(instance: Installed, text: str) -> None:
    """No trace, no driver text, no place on this machine, no credential, no bug of ours."""
    secrets = (instance.admin_password, instance.client_token, instance.database_url)
    found = [word for word in (*_INTERNALS, *secrets) if word in text]
    assert found == [], text[:2000]
