"""A small Kubernetes API server on the loopback, for the real client.

Knows the few resources that the fleet touches, and is strict about them: paths, query parameters,
content types, and bodies by the OpenAPI schema (strict schemas of kubernetes-validate; KEDA's own
where they are there). It remembers what was asked in the words of RBAC. Lists come in pages whose
continuation can expire (410); writes can conflict (409); anything can be too much (429).
"""

import json
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from copy import deepcopy
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import kubernetes_validate
import yaml

from tests.k8s.keda import validator_if_there

Object = dict[str, Any]
_VERSION = "1.32"
_GROUPS = {
    "api/v1": ("", "v1"),
    "apis/apps/v1": ("apps", "apps/v1"),
    "apis/batch/v1": ("batch", "batch/v1"),
    "apis/keda.sh/v1alpha1": ("keda.sh", "keda.sh/v1alpha1"),
}
_KINDS = {
    "pods": "Pod",
    "events": "Event",
    "podtemplates": "PodTemplate",
    "deployments": "Deployment",
    "jobs": "Job",
    "scaledobjects": "ScaledObject",
    "scaledjobs": "ScaledJob",
}
_LIST_PARAMETERS = {"limit", "continue", "labelSelector"}
_PATCHES = {"application/merge-patch+json"}


@dataclass(frozen=True)
class Asked:
    """One request, in the words of a Role."""

    verb: str
    group: str
    resource: str
    name: str | None = None


@dataclass
class Trouble:
    """The next `times` requests for a resource and verb get this answer."""

    verb: str
    resource: str
    status: int
    times: int
    retry_after: int | None = None
    message: str = "as the test wants it"


@dataclass
class ApiServer:
    """What is on the cluster, and what was asked of it. `faults`: requests that no real server
    would take."""

    url: str = ""
    objects: dict[tuple[str, str], Object] = field(default_factory=dict)
    asked: list[Asked] = field(default_factory=list)
    faults: list[str] = field(default_factory=list)
    troubles: list[Trouble] = field(default_factory=list)
    page: int = 500
    expire: int = 0
    """So many continuations are answered as gone."""
    budget_spent: bool = False
    """Whether evictions are refused for a disruption budget."""
    tokens: list[str] = field(default_factory=list)
    """The bearer token of each request, in their order."""
    lock: threading.Lock = field(default_factory=threading.Lock)

    def put(self, resource: str, *objects: Object) -> None:
        for one in objects:
            self.objects[resource, one["metadata"]["name"]] = deepcopy(one)

    def get(self, resource: str, name: str) -> Object:
        return self.objects[resource, name]

    def trouble(
        self,
        verb: str,
        resource: str,
        status: int,
        *,
        times: int = 1,
        retry_after: int | None = None,
    ) -> None:
        self.troubles.append(Trouble(verb, resource, status, times, retry_after))

    def kubeconfig(self, folder: Path) -> Path:
        """A file that leads here."""
        named = {"name": "here"}
        told = {
            "apiVersion": "v1",
            "kind": "Config",
            "current-context": "here",
            "clusters": [named | {"cluster": {"server": self.url}}],
            "users": [named | {"user": {"token": "t"}}],
            "contexts": [named | {"context": {"cluster": "here", "user": "here"}}],
        }
        path = folder / "kubeconfig"
        path.write_text(yaml.safe_dump(told))
        return path


@contextmanager
def running_api_server(tls: tuple[Path, Path] | None = None) -> Iterator[ApiServer]:
    """On a free port of the loopback, until the block ends. `tls`: certificate and key."""
    server = ApiServer()

    class Handler(_Handler):
        api = server

    http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.url = f"http://127.0.0.1:{http.server_address[1]}"
    if tls is not None:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(*tls)
        http.socket = context.wrap_socket(http.socket, server_side=True)
        server.url = server.url.replace("http:", "https:")
    thread = threading.Thread(
        target=http.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True
    )
    thread.start()
    try:
        yield server
    finally:
        http.shutdown()
        http.server_close()
        thread.join()


class _Refuse(Exception):
    def __init__(self, status: int, message: str, retry_after: int | None = None) -> None:
        super().__init__(message)
        self.status, self.retry_after = status, retry_after


class _Handler(BaseHTTPRequestHandler):
    """One request: where it leads, whether it is sound, what it does."""

    api: ApiServer
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        self._answer("GET")

    def do_POST(self) -> None:
        self._answer("POST")

    def do_PATCH(self) -> None:
        self._answer("PATCH")

    def log_message(self, *_: object) -> None:
        """Nothing to the terminal."""

    def _answer(self, method: str) -> None:
        length = int(self.headers.get("Content-Length") or 0)
        body = json.loads(self.rfile.read(length)) if length else None
        headers: dict[str, str] = {}
        scheme, _, token = self.headers.get("Authorization", "").partition(" ")
        self.api.tokens.append(token if scheme.casefold() == "bearer" else "")
        try:
            with self.api.lock:
                status, told = 200, self._done(method, body)
        except _Refuse as refuse:
            status = refuse.status
            told = {"apiVersion": "v1", "kind": "Status", "status": "Failure", "code": status}
            told["message"] = str(refuse)
            if refuse.retry_after is not None:
                headers["Retry-After"] = str(refuse.retry_after)
        text = json.dumps(told).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(text)))
        for name, value in headers.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(text)

    def _done(self, method: str, body: Any) -> Object:
        parts = urlsplit(self.path)
        query = {name: values[0] for name, values in parse_qs(parts.query).items()}
        prefix, _, rest = parts.path.lstrip("/").partition("/namespaces/")
        if prefix not in _GROUPS:
            self._fault(f"no such API: {parts.path}")
        group, version = _GROUPS[prefix]
        _namespace, resource, *more = rest.split("/")
        name = more[0] if more else None
        subresource = more[1] if len(more) > 1 else None
        verb = {"GET": "get" if name else "list", "POST": "create", "PATCH": "patch"}[method]
        full = f"{resource}/{subresource}" if subresource else resource
        self.api.asked.append(Asked(verb, group, full, name))
        self._stop_where_planned(verb, full)
        if resource not in _KINDS:
            self._fault(f"no such resource: {resource}")
        if verb == "list":
            return self._list(resource, version, query)
        if query:
            self._fault(f"unexpected parameters: {sorted(query)}")
        if verb == "patch":
            return self._patch(resource, name or "", body)
        if full == "pods/eviction":
            return self._evict(name or "", body)
        if verb == "create":
            return self._create(resource, body)
        return self._found(resource, name or "")

    def _list(self, resource: str, version: str, query: dict[str, str]) -> Object:
        if unknown := set(query) - _LIST_PARAMETERS:
            self._fault(f"unexpected parameters of a list: {sorted(unknown)}")
        wanted = dict(part.split("=") for part in query.get("labelSelector", "").split(",") if part)
        found = [
            one
            for (of, _), one in sorted(self.api.objects.items())
            if of == resource and wanted.items() <= one["metadata"].get("labels", {}).items()
        ]
        start = int(query.get("continue", 0))
        if start and self.api.expire:
            self.api.expire -= 1
            raise _Refuse(410, "The provided continue parameter is too old")
        end = start + min(int(query["limit"]), self.api.page)
        meta: Object = {"resourceVersion": "1"}
        if end < len(found):
            meta["continue"] = str(end)
        kind = _KINDS[resource] + "List"
        return {"apiVersion": version, "kind": kind, "metadata": meta, "items": found[start:end]}

    def _patch(self, resource: str, name: str, body: Any) -> Object:
        if self.headers["Content-Type"] not in _PATCHES:
            self._fault(f"{self.headers['Content-Type']} is not merge-patch")
        found = self._found(resource, name)
        merged: Object = _merged(found, body)
        self._check(merged)
        self.api.objects[resource, name] = merged
        return merged

    def _evict(self, name: str, body: Object) -> Object:
        self._check({"apiVersion": "policy/v1", "kind": "Eviction"} | body)
        if body["metadata"]["name"] != name:
            self._fault("the eviction names another pod")
        pod = self._found("pods", name)
        if self.api.budget_spent:
            words = "Cannot evict pod as it would violate the pod's disruption budget."
            raise _Refuse(429, words, retry_after=10)
        pod["metadata"]["deletionTimestamp"] = "2026-11-25T12:00:00Z"
        return {"apiVersion": "v1", "kind": "Status", "status": "Success"}

    def _create(self, resource: str, body: Object) -> Object:
        self._check(body)
        name = body["metadata"]["name"]
        if (resource, name) in self.api.objects:
            raise _Refuse(409, f'{resource} "{name}" already exists')
        self.api.objects[resource, name] = body
        return body

    def _found(self, resource: str, name: str) -> Object:
        if (resource, name) not in self.api.objects:
            raise _Refuse(404, f'{resource} "{name}" not found')
        return self.api.objects[resource, name]

    def _check(self, document: Object) -> None:
        """By the strict schema of its kind."""
        if document["apiVersion"].startswith("keda.sh"):
            schema = validator_if_there(document["kind"])
            for fault in schema.iter_errors(document) if schema else ():
                self._fault(f"{document['kind']}: {fault.message}")
            return
        try:
            kubernetes_validate.validate(document, _VERSION, strict=True)
        except kubernetes_validate.ValidationError as fault:
            self._fault(f"{document['kind']}: {fault.message}")

    def _stop_where_planned(self, verb: str, resource: str) -> None:
        for trouble in self.api.troubles:
            if (trouble.verb, trouble.resource) == (verb, resource) and trouble.times > 0:
                trouble.times -= 1
                raise _Refuse(trouble.status, trouble.message, trouble.retry_after)

    def _fault(self, words: str) -> None:
        self.api.faults.append(words)
        raise _Refuse(400, words)


def _merged(old: Any, patch: Any) -> Any:
    """RFC 7386."""
    if not isinstance(patch, dict):
        return patch
    merged = dict(old) if isinstance(old, dict) else {}
    for name, value in patch.items():
        if value is None:
            merged.pop(name, None)
        else:
            merged[name] = _merged(merged.get(name), value)
    return merged
