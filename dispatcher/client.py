"""The client for upstream systems: ask for a run, wait for it, fetch what it made.

    with FleetClient("https://fleet.example.org", token=my_token) as fleet:
        run = fleet.submit(request).run
        if fleet.wait(run, timeout=3600).state is State.SUCCEEDED:
            for artifact in fleet.artifacts(run, tier=Tier.PRESENTED):
                fleet.fetch(artifact, Path("results"))

A request always goes with a key, so that asking again after a lost answer starts nothing twice.
What the network or a busy dispatcher interrupts is tried again for a while; a refusal is not.
"""

import hashlib
import os
import re
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, Self
from urllib.parse import quote
from uuid import uuid4

import httpx
from tenacity import Retrying, retry_if_exception_type, stop_after_delay, wait_random_exponential

from contracts.artifact import Tier
from contracts.request import RunAccepted, RunRequest
from contracts.states import FINAL
from dispatcher.http_looking import ArtifactEntry
from fleet.errors import FleetError
from fleet.ledger.rows import RunDetail

_TIMEOUT = httpx.Timeout(30.0, connect=5.0)
_CHUNK = 1 << 20
_NEXT = re.compile(r'<([^>]*)>; rel="next"')


class ClientFault(FleetError):
    """Something went wrong between here and the dispatcher."""


class Refused(ClientFault):
    """The dispatcher refused it: `status`, and `problem` as RFC 9457 has it. Nothing was done."""

    def __init__(self, status: int, problem: Mapping[str, Any]) -> None:
        title = problem.get("title", f"HTTP status {status}")
        super().__init__(f"{title}: {problem.get('detail', '')}")
        self.status, self.problem = status, dict(problem)


class Unavailable(ClientFault):
    """Not reached, or busy, for as long as was waited. Asking again is safe."""


class StillOpen(ClientFault):
    """The run has not ended in time; it goes on."""


class Damaged(ClientFault):
    """The bytes that came are not those of the artifact. Nothing was kept."""


class FleetClient:
    """One dispatcher. Use it in a `with` block; it may be shared between threads."""

    def __init__(
        self,
        address: str,
        *,
        token: str | Callable[[], str] | None = None,
        patience: float = 60.0,
    ) -> None:
        """`token`: a login, or what gives one whenever it is asked (tokens end). `patience`:
        seconds that one call may spend on trying again."""
        self._token = token
        self._client = httpx.Client(base_url=address, timeout=_TIMEOUT)
        self._trying = Retrying(
            retry=retry_if_exception_type(Unavailable),
            stop=stop_after_delay(patience),
            wait=wait_random_exponential(multiplier=0.2, max=5.0),
            reraise=True,
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        _type: type[BaseException] | None,
        _value: BaseException | None,
        _trace: TracebackType | None,
    ) -> None:
        self._client.close()

    def submit(self, request: RunRequest) -> RunAccepted:
        """Ask for a run. Raises Refused with the faults, Unavailable."""
        keyed = request
        if request.key is None:
            keyed = request.model_copy(update={"key": str(uuid4())})
        body = keyed.model_dump(mode="json", exclude_none=True)
        return RunAccepted.model_validate(self._asked("POST", "/v1/runs", json=body).json())

    def run(self, run: str) -> RunDetail:
        """A run with its stages. Raises Refused, Unavailable."""
        return RunDetail.model_validate(self._asked("GET", f"/v1/runs/{quote(run)}").json())

    def wait(
        self,
        run: str,
        *,
        timeout: float | None = None,
        every: float = 1.0,
        seen: Callable[[RunDetail], None] = lambda _: None,
    ) -> RunDetail:
        """The run once it has ended, however it ended; `seen` is told of it at every look.

        Times in seconds. Raises StillOpen, Refused, Unavailable.
        """
        until = float("inf") if timeout is None else time.monotonic() + timeout
        while True:
            detail = self.run(run)
            seen(detail)
            if detail.state in FINAL:
                return detail
            if time.monotonic() + every > until:
                raise StillOpen(f"run {run} is {detail.state} after {timeout} s, and goes on")
            time.sleep(every)

    def artifacts(self, run: str, *, tier: Tier | None = None) -> Iterator[ArtifactEntry]:
        """What a run made, all pages of it. Raises Refused, Unavailable."""
        path: str | None = f"/v1/runs/{quote(run)}/artifacts" + (f"?tier={tier}" if tier else "")
        while path is not None:
            answer = self._asked("GET", path)
            yield from (ArtifactEntry.model_validate(one) for one in answer.json())
            found = _NEXT.search(answer.headers.get("link", ""))
            path = found[1] if found else None

    def fetch(self, artifact: ArtifactEntry, folder: Path) -> Path:
        """Save an artifact's bytes in `folder` under its name, checked by digest; the file.

        Raises Refused where the publish gate keeps them, Damaged, Unavailable.
        """
        target = folder / artifact.pointer.name.rsplit("/", 1)[-1]
        folder.mkdir(parents=True, exist_ok=True)
        part = target.with_name(f"{target.name}.{os.getpid()}.part")
        try:
            self._trying(self._save, artifact, part)
            part.replace(target)
        finally:
            part.unlink(missing_ok=True)
        return target

    def _save(self, artifact: ArtifactEntry, part: Path) -> None:
        hasher = hashlib.sha256()
        try:
            with (
                self._client.stream("GET", artifact.bytes, headers=self._login()) as answer,
                part.open("wb") as file,
            ):
                if not answer.is_success:
                    answer.read()
                    raise _fault(answer)
                for chunk in answer.iter_bytes(_CHUNK):
                    hasher.update(chunk)
                    file.write(chunk)
        except httpx.HTTPError as cause:
            raise Unavailable(f"the bytes did not come ({type(cause).__name__})") from None
        if hasher.hexdigest() != artifact.pointer.digest:
            raise Damaged(f"what came is not {artifact.pointer.name}: its digest is another")

    def _asked(self, method: str, path: str, **more: Any) -> httpx.Response:
        return self._trying(self._once, method, path, **more)

    def _once(self, method: str, path: str, **more: Any) -> httpx.Response:
        try:
            answer = self._client.request(method, path, headers=self._login(), **more)
        except httpx.HTTPError as cause:
            raise Unavailable(f"the dispatcher does not answer ({type(cause).__name__})") from None
        if answer.is_success:
            return answer
        raise _fault(answer)

    def _login(self) -> dict[str, str]:
        token = self._token() if callable(self._token) else self._token
        return {} if token is None else {"authorization": f"Bearer {token}"}


def _fault(answer: httpx.Response) -> Refused | Unavailable:
    """503 and 429 ask to come again; everything else will not change by asking."""
    try:
        told = answer.json()
    except ValueError:
        told = {}
    problem = told if isinstance(told, dict) else {}
    if answer.status_code in {429, 502, 503, 504}:
        return Unavailable(f"not possible now: {problem.get('detail', answer.status_code)}")
    return Refused(answer.status_code, problem)
