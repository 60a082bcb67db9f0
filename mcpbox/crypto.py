"""The only module that imports ``cryptography``: keys, signatures, password hashes, tokens."""

import hashlib
import os
import secrets
import threading
from collections.abc import Sequence

from cryptography.exceptions import InvalidKey, InvalidSignature, InvalidTag
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.kdf.argon2 import Argon2id
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from pydantic import SecretStr

_NONCE_BYTES = 12
_SALT_BYTES = 16
_MEMORY_KIB = 64 * 1024
_ITERATIONS = 3
_LANES = 4
_ARGON2 = threading.Lock()
"""OpenSSL shares its threads: two who derive at once can wait for each other for ever."""


def derive(key: SecretStr, purpose: str) -> str:
    """A key of its own for each purpose (64 hex), so that none opens what another protects.

    Source: RFC 5869, with ``purpose`` as info.
    """
    material = bytes.fromhex(key.get_secret_value())
    hkdf = HKDF(algorithm=hashes.SHA256(), length=32, salt=None, info=f"mcpbox/{purpose}".encode())
    return hkdf.derive(material).hex()


class SigningKey:
    """Ed25519, derived like every key of ours, so there is no other to keep."""

    def __init__(self, key: SecretStr, purpose: str) -> None:
        self._private = Ed25519PrivateKey.from_private_bytes(bytes.fromhex(derive(key, purpose)))
        self.public = self._private.public_key().public_bytes_raw()
        """32 bytes."""

    def sign(self, signed: bytes) -> bytes:
        return self._private.sign(signed)


def signature_holds(public: bytes, signature: bytes, signed: bytes) -> bool:
    """Ed25519; ``public``: 32 bytes."""
    try:
        Ed25519PublicKey.from_public_bytes(public).verify(signature, signed)
    except InvalidSignature:
        return False
    return True


class CannotOpen(Exception):
    """Sealed with a key that is not in the ring, for another place, or changed since."""


class Keyring:
    """AES-256-GCM. Seals with the newest key, and opens what any of its keys has sealed.

    Source: NIST SP 800-38D, with 96-bit random nonces.
    """

    def __init__(self, keys: Sequence[SecretStr], purpose: str) -> None:
        """``keys``: newest first, 64 hexadecimal digits each. Each ``purpose`` has its own."""
        derived = [bytes.fromhex(derive(key, purpose)) for key in keys]
        self._ciphers = {_key_id(key): AESGCM(key) for key in derived}
        self.key_id = _key_id(derived[0])
        """Of the newest; it tells nothing of the key."""

    def seal(self, plain: bytes, place: bytes) -> bytes:
        """``place``: what it belongs to; opened for another place, it does not open."""
        nonce = os.urandom(_NONCE_BYTES)
        return nonce + self._ciphers[self.key_id].encrypt(nonce, plain, place)

    def open(self, key_id: str, sealed: bytes, place: bytes) -> bytes:
        """Raises: CannotOpen."""
        cipher = self._ciphers.get(key_id)
        if cipher is None:
            raise CannotOpen
        try:
            return cipher.decrypt(sealed[:_NONCE_BYTES], sealed[_NONCE_BYTES:], place)
        except (InvalidTag, ValueError) as error:
            raise CannotOpen from error


def _key_id(key: bytes) -> str:
    return hashlib.sha256(b"mcpbox/key id/" + key).hexdigest()[:16]


def hash_password(password: SecretStr) -> str:
    """PHC string. Takes about 0.1 s and 64 MiB: call it in a thread.

    Source: RFC 9106 §4, second recommended option.
    """
    kdf = Argon2id(
        salt=os.urandom(_SALT_BYTES),
        length=32,
        iterations=_ITERATIONS,
        lanes=_LANES,
        memory_cost=_MEMORY_KIB,
    )
    with _ARGON2:
        return kdf.derive_phc_encoded(password.get_secret_value().encode())


def password_matches(password: SecretStr, phc: str) -> bool:
    """As costly as :func:`hash_password`."""
    try:
        with _ARGON2:
            Argon2id.verify_phc_encoded(password.get_secret_value().encode(), phc)
    except InvalidKey:
        return False
    return True


def new_token(prefix: str) -> str:
    """256 random bits; the prefix lets secret scanners find leaked ones."""
    return f"{prefix}_{secrets.token_urlsafe(32)}"


def new_password() -> str:
    return secrets.token_urlsafe(15)


def token_hash(token: str) -> str:
    """Plain SHA-256: the token is random, so there is nothing to slow a guesser down for."""
    return hashlib.sha256(token.encode()).hexdigest()
