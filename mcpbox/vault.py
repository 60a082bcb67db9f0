"""Seals the values of secrets for the database, and opens them again in memory."""

from pydantic import SecretStr

from mcpbox.crypto import CannotOpen, Keyring
from mcpbox.domain.ids import ServerId

_PURPOSE = "server secrets"


class Vault:
    def __init__(self, key: SecretStr) -> None:
        """Another key opens nothing of what this one sealed."""
        self._keyring = Keyring([key], _PURPOSE)
        self.key_id = self._keyring.key_id

    def seal(self, server_id: ServerId, name: str, value: SecretStr) -> bytes:
        return self._keyring.seal(value.get_secret_value().encode(), _place(server_id, name))

    def find(
        self, server_id: ServerId, name: str, key_id: str | None, sealed: bytes | None
    ) -> SecretStr | None:
        """``None``: there is no value, or it does not open here, for this server and name."""
        if key_id is None or sealed is None:
            return None
        try:
            opened = self._keyring.open(key_id, sealed, _place(server_id, name))
        except CannotOpen:
            return None
        return SecretStr(opened.decode())


def _place(server_id: ServerId, name: str) -> bytes:
    """A value that was copied to another row does not open there."""
    return f"secret/{server_id}/{name}".encode()
