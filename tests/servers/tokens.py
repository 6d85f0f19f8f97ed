"""A token service on loopback: Entra's token endpoint, as far as workload identity asks it.

It takes the assertion of a federated token file and gives a token for the asked scope. The tokens
are signed with a key that nobody checks; who checks them looks at their claims.
"""

import contextlib
import json
import ssl
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import parse_qs

import jwt
import pytest

TENANT = "11111111-1111-1111-1111-111111111111"
CLIENT = "22222222-2222-2222-2222-222222222222"
ASSERTION = "what the cluster says of this pod"
_HOUR = 3600
_KEY = "a key that nobody checks, long enough"


class TokenService:
    """A running service, and what it was asked."""

    def __init__(self) -> None:
        self.port = 0
        self.scopes: list[str] = []
        self.tokens: list[str] = []

    def grant(self, form: dict[str, str]) -> dict[str, object] | None:
        """An answer to a token request; None where the assertion proves nothing."""
        if form.get("client_assertion") != ASSERTION or form.get("client_id") != CLIENT:
            return None
        scope = form["scope"]
        now = int(time.time())
        token = jwt.encode(
            {
                "aud": scope.removesuffix("/.default"),
                "iss": f"https://sts.windows.net/{TENANT}/",
                "iat": now - 60,
                "nbf": now - 60,
                "exp": now + _HOUR,
                "appid": CLIENT,
            },
            _KEY,
            algorithm="HS256",
        )
        self.scopes.append(scope)
        self.tokens.append(token)
        return {"token_type": "Bearer", "expires_in": _HOUR, "access_token": token}


@contextlib.contextmanager
def running_token_service(certificate: Path, key: Path) -> Iterator[TokenService]:
    """A service over TLS for the length of the block."""
    service = TokenService()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"])).decode()
            form = {name: values[0] for name, values in parse_qs(body).items()}
            known = self.path == f"/{TENANT}/oauth2/v2.0/token"
            granted = service.grant(form) if known else None
            answer = json.dumps(granted or {"error": "invalid_client"}).encode()
            self.send_response(200 if granted else 401)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(answer)))
            self.end_headers()
            self.wfile.write(answer)

        def log_message(self, *_: object) -> None:
            pass

    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    tls.load_cert_chain(certificate, key)
    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        server.socket = tls.wrap_socket(server.socket, server_side=True)
        service.port = server.server_address[1]
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        try:
            yield service
        finally:
            server.shutdown()
            thread.join()


def be_a_pod(
    patch: pytest.MonkeyPatch, folder: Path, service: TokenService, certificate: Path
) -> None:
    """The environment that AKS's webhook gives a pod with workload identity."""
    token_file = folder / "azure-identity-token"
    token_file.write_text(ASSERTION)
    patch.setenv("AZURE_TENANT_ID", TENANT)
    patch.setenv("AZURE_CLIENT_ID", CLIENT)
    patch.setenv("AZURE_FEDERATED_TOKEN_FILE", str(token_file))
    patch.setenv("AZURE_AUTHORITY_HOST", f"https://127.0.0.1:{service.port}/")
    # Certificates of the loopback are its own.
    patch.setenv("REQUESTS_CA_BUNDLE", str(certificate))
