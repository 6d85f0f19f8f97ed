"""The way to the cluster's API, and what its answers mean here.

Uses the official client, which the extra `aks` installs and which is imported when a cluster is
opened: it costs half a second and some 60 MB.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self, TypeVar

from fleet.cluster.errors import ClusterRefused, ClusterUnavailable
from fleet.cluster.names import NAMESPACE

if TYPE_CHECKING:
    from kubernetes import client

T = TypeVar("T")

_PATIENCE = (3.05, 20.0)
"""Seconds to connect, and for an answer."""
_PAGE = 500
_TRIES = 4
"""Of a call that the API asks to repeat later (429, or 5xx with Retry-After)."""
_STARTS = 3
"""Of a list whose continuation is no longer valid (410)."""
_GONE, _TOO_MANY = 410, 429
ACCOUNT = Path("/var/run/secrets/kubernetes.io/serviceaccount")
"""Where Kubernetes mounts a pod's token and the cluster's certificate."""


class Cluster:
    """One namespace of one cluster. Blocking; may be shared between threads."""

    def __init__(self, api: "client.ApiClient", namespace: str) -> None:
        from kubernetes import client
        from kubernetes.utils.retry import Backoff

        self.namespace = namespace
        self._api = api
        # The client waits as long as Retry-After says; this bounds how often.
        self._backoff = Backoff(steps=_TRIES, duration=0.2, factor=2.0, jitter=0.1)
        api.configuration.client_go_retries = True
        api.configuration.client_go_retry_backoff = self._backoff
        self.core = client.CoreV1Api(api)
        self.apps = client.AppsV1Api(api)
        self.batch = client.BatchV1Api(api)
        self.custom = client.CustomObjectsApi(api)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._api.close()

    def ask(self, what: str, call: Callable[..., T], *given: Any, **named: Any) -> T:
        """One call. `what` says in a message what was asked for. Raises ClusterUnavailable or
        ClusterRefused."""
        with _told(what):
            return call(*given, _request_timeout=_PATIENCE, **named)

    def change(self, what: str, call: Callable[..., T], *given: Any, **named: Any) -> T:
        """A call that may be made twice: once more after a conflict (409), and later where the API
        asks for it. Raises ClusterUnavailable or ClusterRefused."""
        from kubernetes.utils.retry import (
            is_retry_after_response,
            on_retry_after_error,
            retry_on_conflict,
        )

        def once() -> T:
            return call(*given, _request_timeout=_PATIENCE, **named)

        with _told(what):
            return on_retry_after_error(
                self._backoff, is_retry_after_response, lambda: retry_on_conflict(once)
            )

    def all(self, what: str, call: Callable[..., Any], *given: Any, **named: Any) -> list[Any]:
        """Every object of a list, page by page. A list that went stale on the way (410) is begun
        again, so that nothing is told twice or left out."""
        for _ in range(_STARTS):
            found: list[Any] = []
            token: str | None = None
            try:
                while True:
                    page = self.ask(what, call, *given, limit=_PAGE, **_continued(token), **named)
                    items, token = _contents(page)
                    found += items
                    if not token:
                        return found
            except _Stale:
                continue
        raise ClusterUnavailable(f"{what}: the list changed faster than it could be read")


def open_cluster(
    *,
    namespace: str = NAMESPACE,
    kubeconfig: Path | None = None,
    context: str | None = None,
    account: Path = ACCOUNT,
) -> Cluster:
    """From inside a pod by its service account, else by a kubeconfig file, as kubectl does.

    Raises ClusterRefused where neither is there, or where the client is not installed.
    """
    try:
        from kubernetes import client, config
    except ImportError:
        raise ClusterRefused(
            "the Kubernetes client is not installed: pip install 'leaf-fleet[aks]'"
        ) from None
    settings = client.Configuration()
    try:
        if kubeconfig is None and context is None:
            try:
                _sign_in_as_pod(settings, account)
                return Cluster(client.ApiClient(settings), namespace)
            except config.ConfigException:
                pass  # not in a pod
        config.load_kube_config(
            config_file=None if kubeconfig is None else str(kubeconfig),
            context=context,
            client_configuration=settings,
        )
    except (config.ConfigException, OSError, ValueError) as cause:
        raise ClusterRefused(
            f"no cluster to ask: {cause}. Run where kubectl works, or name a --kubeconfig"
        ) from None
    return Cluster(client.ApiClient(settings), namespace)


def _sign_in_as_pod(settings: "client.Configuration", account: Path) -> None:
    """Raises ConfigException outside of a pod."""
    from kubernetes.config import incluster_config

    token = account / "token"
    incluster_config.InClusterConfigLoader(
        token_filename=str(token),
        cert_filename=str(account / "ca.crt"),
        try_refresh_token=False,
    ).load_and_set(settings)

    def reread(settings: "client.Configuration") -> None:
        # For each call: the kubelet puts a new token there before the old one ends. The client's
        # own way keeps one for a minute, in which a token that was withdrawn is still sent.
        with suppress(OSError):
            settings.api_key["BearerToken"] = f"bearer {token.read_text(encoding='ascii')}"

    settings.refresh_api_key_hook = reread  # type: ignore[assignment]  # the client declares no type


class _Stale(ClusterUnavailable):
    """A continuation is no longer valid."""


@contextmanager
def _told(what: str) -> Iterator[None]:
    """The client's errors as ours."""
    from kubernetes.client.exceptions import ApiException
    from urllib3.exceptions import HTTPError

    try:
        yield
    except ApiException as cause:
        status = int(cause.status or 0)
        if status == _GONE:
            raise _Stale(f"{what}: it changed meanwhile") from cause
        words = f"{what}: {_reason(cause)}"
        if status in (0, _TOO_MANY) or status >= 500:
            raise ClusterUnavailable(words) from cause
        raise ClusterRefused(words, status) from cause
    except (HTTPError, OSError) as cause:
        # Not its words: they can hold an address.
        raise ClusterUnavailable(f"{what}: the cluster does not answer") from cause


def _reason(cause: Any) -> str:
    """The API server's own message, which names what was refused."""
    import json

    try:
        told = str(json.loads(cause.body)["message"])
    except (TypeError, ValueError, KeyError):
        told = str(cause.reason or "no reason given")
    return f"{told} ({cause.status})"


def _continued(token: str | None) -> dict[str, str]:
    return {} if token is None else {"_continue": token}


def _contents(page: Any) -> tuple[list[Any], str | None]:
    """Of a typed list, or of one of custom objects."""
    if isinstance(page, dict):
        return list(page.get("items", [])), page.get("metadata", {}).get("continue")
    return list(page.items), page.metadata.var_continue if page.metadata else None
