"""A TCP proxy on loopback that cuts a connection once it has carried so many bytes."""

import contextlib
import socket
import threading
from collections.abc import Iterator


class Cutting:
    """Forwards to `target`. `left` is what may still be sent there; None is without limit."""

    def __init__(self, target: int) -> None:
        self.left: int | None = None
        self.cuts = 0
        self._target = target
        self._listening = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listening.getsockname()[1]

    def serve(self) -> None:
        while True:
            try:
                near, _ = self._listening.accept()
            except OSError:
                return
            far = socket.create_connection(("127.0.0.1", self._target))
            for source, target, limited in ((near, far, True), (far, near, False)):
                threading.Thread(
                    target=self._carry, args=(source, target, limited), daemon=True
                ).start()

    def close(self) -> None:
        self._listening.shutdown(socket.SHUT_RDWR)
        self._listening.close()

    def _carry(self, source: socket.socket, target: socket.socket, limited: bool) -> None:
        with contextlib.suppress(OSError):
            while data := source.recv(1 << 16):
                if limited and self.left is not None:
                    self.left -= len(data)
                    if self.left < 0:
                        self.cuts += 1
                        break
                target.sendall(data)
        for end in (source, target):
            with contextlib.suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)
        source.close()  # each of a pair's two threads closes the end that it reads


@contextlib.contextmanager
def cutting_proxy(target: int) -> Iterator[Cutting]:
    """A proxy for the length of the block."""
    proxy = Cutting(target)
    thread = threading.Thread(target=proxy.serve, daemon=True)
    thread.start()
    try:
        yield proxy
    finally:
        proxy.close()
        thread.join()
