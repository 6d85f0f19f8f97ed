"""An issuer of tokens on the loopback: it signs with keys that it publishes, and rotates them."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import jwt
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from jwt.algorithms import ECAlgorithm, RSAAlgorithm

AUDIENCE = "api://leaf-fleet"


class LoopbackIssuer:
    """Signs for one address; `asked` counts how often its keys were fetched."""

    def __init__(self, port: int) -> None:
        self.address = f"http://127.0.0.1:{port}/tenant/v2.0"
        self.keys_address = f"http://127.0.0.1:{port}/keys"
        self.asked = 0
        self.away = False
        self.rotate("first")

    def rotate(self, name: str) -> None:
        """Sign with a new key, and publish that alone. An elliptic one: it is made at once."""
        self.name, self._algorithm = name, "ES256"
        self._key: ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey = ec.generate_private_key(
            ec.SECP256R1()
        )
        self._public = ECAlgorithm.to_jwk(self._key.public_key(), as_dict=True)

    def rotate_to_rsa(self, name: str) -> None:
        """The same with a key of the kind that Entra ID and Cloudflare have today."""
        self.name, self._algorithm = name, "RS256"
        self._key = rsa.generate_private_key(public_exponent=65_537, key_size=2048)
        self._public = RSAAlgorithm.to_jwk(self._key.public_key(), as_dict=True)

    def published(self) -> bytes:
        return json.dumps({"keys": [self._public | {"kid": self.name, "use": "sig"}]}).encode()

    def token(self, now: datetime, **claims: Any) -> str:
        """A token for an hour; a claim of None is left out."""
        told = {
            "iss": self.address,
            "aud": AUDIENCE,
            "sub": "subject-1",
            "iat": int(now.timestamp()),
            "exp": int((now + timedelta(hours=1)).timestamp()),
            "preferred_username": "ada@example.org",
            "roles": ["Fleet.Viewer"],
        } | claims
        kept = {name: value for name, value in told.items() if value is not None}
        return jwt.encode(kept, self._key, self._algorithm, headers={"kid": self.name})


@contextmanager
def issuing() -> Iterator[LoopbackIssuer]:
    """An issuer that listens on a free port while the block lasts."""
    here: list[LoopbackIssuer] = []

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            here[0].asked += 1
            if here[0].away or self.path != "/keys":
                self.send_error(503)
                return
            body = here[0].published()
            self.send_response(200)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *args: object) -> None:
            """Quiet."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        here.append(LoopbackIssuer(server.server_port))
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield here[0]
        finally:
            server.shutdown()
            thread.join()
