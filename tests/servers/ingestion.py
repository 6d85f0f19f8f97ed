"""An ingestion endpoint on loopback: what Azure Monitor's exporters send, taken as it comes."""

import contextlib
import gzip
import json
import ssl
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

_KEY = "00000000-0000-0000-0000-000000000000"


class Ingestion:
    """A running endpoint, and the envelopes it took."""

    def __init__(self, port: int, scheme: str) -> None:
        self.envelopes: list[dict[str, Any]] = []
        self.tokens: set[str] = set()
        """Who sent: bearer tokens, empty for who had none."""
        self.connection_string = (
            f"InstrumentationKey={_KEY};IngestionEndpoint={scheme}://127.0.0.1:{port}/"
        )

    def of(self, *kinds: str) -> list[dict[str, Any]]:
        """Envelopes by what they hold, e.g. `RequestData`."""
        return [one for one in self.envelopes if one["data"]["baseType"] in kinds]


@contextlib.contextmanager
def running_ingestion(tls: tuple[Path, Path] | None = None) -> Iterator[Ingestion]:
    """An endpoint for the length of the block. `tls`: certificate and key."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            if self.headers.get("Content-Encoding") == "gzip":
                body = gzip.decompress(body)
            sent = json.loads(body)
            ingestion.envelopes += sent
            ingestion.tokens.add(self.headers.get("Authorization", "").removeprefix("Bearer "))
            answer = {"itemsReceived": len(sent), "itemsAccepted": len(sent), "errors": []}
            data = json.dumps(answer).encode()
            self.send_response(200)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(data)))
            self.send_header("Connection", "close")
            self.end_headers()
            self.wfile.write(data)

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        if tls is not None:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(*tls)
            server.socket = context.wrap_socket(server.socket, server_side=True)
        ingestion = Ingestion(server.server_address[1], "http" if tls is None else "https")
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        try:
            yield ingestion
        finally:
            server.shutdown()
            thread.join()
