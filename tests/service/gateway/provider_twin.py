"""An OpenID provider on a socket of its own, as far as a resource server sees one."""

import json
import threading
import time
from collections.abc import Generator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import jwt
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from jwt.algorithms import ECAlgorithm, OKPAlgorithm, RSAAlgorithm

AUDIENCE = "https://tools.example.org/mcp"
PrivateKey = rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey | ed25519.Ed25519PrivateKey


def a_key(algorithm: str = "ES256", *, bits: int = 2048) -> PrivateKey:
    if algorithm == "RS256":
        return rsa.generate_private_key(public_exponent=65537, key_size=bits)
    if algorithm == "EdDSA":
        return ed25519.Ed25519PrivateKey.generate()
    return ec.generate_private_key(ec.SECP256R1())


def public_jwk(key: PrivateKey, key_id: str | None) -> dict[str, Any]:
    public = key.public_key()
    if isinstance(public, rsa.RSAPublicKey):
        described = RSAAlgorithm.to_jwk(public, as_dict=True)
    elif isinstance(public, ed25519.Ed25519PublicKey):
        described = OKPAlgorithm.to_jwk(public, as_dict=True)
    else:
        described = ECAlgorithm.to_jwk(public, as_dict=True)
    return {**described, "use": "sig"} | ({"kid": key_id} if key_id else {})


class Clock:
    now = 1000.0

    def __call__(self) -> float:
        return self.now


class LocalProvider:
    def __init__(self, port: int) -> None:
        self.issuer = f"http://127.0.0.1:{port}"
        self.key = a_key()
        self.published: list[dict[str, Any]] = [public_jwk(self.key, "first")]
        self.discovery: dict[str, Any] = {
            "issuer": self.issuer,
            "jwks_uri": f"{self.issuer}/keys",
        }
        self.away = False
        self.visits = 0
        """How often its keys were fetched."""

    def token(
        self,
        *,
        key: PrivateKey | str | None = None,
        key_id: str | None = "first",
        algorithm: str = "ES256",
        headers: dict[str, Any] | None = None,
        **claims: Any,
    ) -> str:
        """Of ana, who may do everything, for five minutes; ``None`` leaves a claim out."""
        given = {
            "iss": self.issuer,
            "sub": "user-1",
            "aud": AUDIENCE,
            "exp": time.time() + 300,
            "iat": time.time(),
            "email": "ana@example.org",
            "email_verified": True,
            "scope": "openid mcpbox:author mcpbox:call",
            **claims,
        }
        return jwt.encode(
            {name: value for name, value in given.items() if value is not None},
            self.key if key is None else key,
            algorithm=algorithm,
            headers={"kid": key_id, "typ": "at+jwt", **(headers or {})},
        )

    def answer(self, path: str) -> dict[str, Any] | None:
        if self.away:
            return None
        if path == "/keys":
            self.visits += 1
            return {"keys": self.published}
        return self.discovery if path == "/.well-known/openid-configuration" else None


@contextmanager
def local_provider() -> Generator[LocalProvider]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            found = provider.answer(self.path)
            self.send_response(503 if found is None else 200)
            self.end_headers()
            self.wfile.write(json.dumps(found).encode())

        def log_message(self, *_: object) -> None:  # pyright: ignore[reportIncompatibleMethodOverride]
            """Says nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    provider = LocalProvider(server.server_address[1])
    thread = threading.Thread(target=server.serve_forever, args=(0.05,))
    thread.start()
    try:
        yield provider
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
