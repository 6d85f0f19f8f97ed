"""The artifact store on Azure Blob Storage: the blob `<tier>/<aa>/<sha256>` of one container.

On an account with a hierarchical namespace (ADLS Gen2) the tiers are directories. A blob is created
if it is absent and never overwritten, but where it is damaged, and then only as it was seen (ETag).
A large file travels in blocks, few of them in memory, and is there once its list of blocks is
committed: a connection that is cut leaves nothing that anybody can read. What is read as a file is
kept in a folder of this machine.

Evidence is leased without end: it cannot be deleted or replaced until somebody breaks the lease.

The service's own checksum guards bytes at rest, so a put looks at what is there by its properties
only; a read proves every byte.
"""

import contextlib
import hashlib
import uuid
from collections.abc import Iterator
from datetime import datetime
from io import BytesIO
from pathlib import Path
from typing import IO, Any, cast

from azure.core import MatchConditions
from azure.core.exceptions import (
    AzureError,
    HttpResponseError,
    ResourceExistsError,
    ResourceModifiedError,
    ResourceNotFoundError,
)
from azure.storage.blob import (
    BlobClient,
    BlobProperties,
    ContainerClient,
    ContentSettings,
    ExponentialRetry,
)

from contracts.artifact import ArtifactPointer, Tier
from fleet.artifacts.errors import (
    ArtifactDamaged,
    ArtifactMissing,
    ArtifactRefused,
    StoreAway,
)
from fleet.artifacts.folder import FolderStore, check, regular_file
from fleet.artifacts.store import Stored, key

_DIGEST = "sha256"
"""The metadata that a whole put leaves: a blob without it was not written by this store."""
_BLOCK = 8 << 20
"""Bytes of a block. With 50,000 of them a blob may have 400 GB."""
_BLOCKS_AT_ONCE = 4
_TRIES = 4
_PATIENCE: dict[str, Any] = {
    "connection_timeout": 10,
    "read_timeout": 60,
    # For hiccups of one call only: at once, then after 2, 4 and 8 seconds.
    "retry_policy": ExponentialRetry(
        initial_backoff=0, increment_base=2, retry_total=4, random_jitter_range=1
    ),
}
_LEASES = uuid.UUID("5c1f4fb9-58a5-4a0e-9d0c-3f3b6f1ad0b7")


class BlobStore:
    """An ArtifactStore. `copies` keeps what was asked for as a file."""

    def __init__(self, container: ContainerClient, copies: FolderStore) -> None:
        self._container, self._copies = container, copies

    def close(self) -> None:
        """Let the connections go. Twice is harmless."""
        self._container.close()

    def put_file(self, tier: Tier, path: Path) -> Stored:
        """See ArtifactStore. Raises ArtifactRefused too for a file that changes meanwhile."""
        with regular_file(path) as source:
            digest = hashlib.file_digest(source, "sha256").hexdigest()
            stored = Stored(digest=digest, size=source.tell())
            return self._put(tier, stored, source, path.name)

    def put_bytes(self, tier: Tier, data: bytes) -> Stored:
        """See ArtifactStore."""
        stored = Stored(digest=hashlib.sha256(data).hexdigest(), size=len(data))
        return self._put(tier, stored, BytesIO(data), "bytes")

    def read(self, pointer: ArtifactPointer) -> bytes:
        """See ArtifactStore."""
        data = b"".join(self._chunks(pointer))
        check(pointer, hashlib.sha256(data).hexdigest(), len(data))
        return data

    def local_path(self, pointer: ArtifactPointer) -> Path:
        """See ArtifactStore. The file is this machine's copy."""
        with contextlib.suppress(ArtifactMissing, ArtifactDamaged):
            return self._copies.local_path(pointer)
        stored = self._copies.put_chunks(pointer.tier, self._proven(pointer))
        check(pointer, stored.digest, stored.size)
        return self._copies.local_path(pointer)

    def has(self, tier: Tier, digest: str) -> bool:
        """See ArtifactStore."""
        blob = self._blob(tier, digest)
        with _away():
            return bool(blob.exists())

    def sweep(self, before: datetime) -> int:
        """See ArtifactStore. The service itself forgets blocks that nobody committed in a week."""
        return self._copies.sweep(before)

    def _blob(self, tier: Tier, digest: str) -> BlobClient:
        return self._container.get_blob_client(key(tier, digest))

    def _put(self, tier: Tier, stored: Stored, source: IO[bytes], name: str) -> Stored:
        blob = self._blob(tier, stored.digest)
        for _ in range(_TRIES):
            with _away():
                there = _properties(blob)
                if there is None or not _whole(there, stored):
                    source.seek(0)
                    # Another's put may come first: then what is there is looked at again.
                    with contextlib.suppress(ResourceExistsError, ResourceModifiedError):
                        self._upload(blob, stored, _Once(source, stored, name), there)
                    continue
                if tier is Tier.EVIDENCE:
                    _hold(blob, stored.digest)
                return stored
        raise StoreAway(f"artifact:{tier}/{stored.digest}: others keep changing it; put it again")

    def _upload(
        self, blob: BlobClient, stored: Stored, source: "_Once", there: BlobProperties | None
    ) -> None:
        guard: dict[str, Any] = {"overwrite": False}  # sends If-None-Match: *
        if there is not None:
            guard = {
                "overwrite": True,
                "etag": there.etag,
                "match_condition": MatchConditions.IfNotModified,
            }
            if there.lease.state == "leased":
                guard["lease"] = _lease_of(stored.digest)
        blob.upload_blob(
            cast("IO[bytes]", source),
            length=stored.size,
            metadata={_DIGEST: stored.digest},
            max_concurrency=_BLOCKS_AT_ONCE,
            content_settings=ContentSettings(content_type="application/octet-stream"),
            **guard,
        )

    def _chunks(self, pointer: ArtifactPointer) -> Iterator[bytes]:
        blob = self._blob(pointer.tier, pointer.digest)
        with _away():
            try:
                yield from blob.download_blob().chunks()
            except ResourceNotFoundError:
                raise ArtifactMissing(pointer.uri) from None

    def _proven(self, pointer: ArtifactPointer) -> Iterator[bytes]:
        """The bytes; raises ArtifactDamaged at their end, so that no wrong copy is kept."""
        hasher, size = hashlib.sha256(), 0
        for chunk in self._chunks(pointer):
            hasher.update(chunk)
            size += len(chunk)
            yield chunk
        check(pointer, hasher.hexdigest(), size)


class _Once:
    """A source that is read through once, front to back, and must end as what was promised.

    It cannot seek, so that the SDK takes block after block and never holds more than a few. The
    last block is given out only if the digest is right: a file that changed is never committed.
    """

    def __init__(self, source: IO[bytes], stored: Stored, name: str) -> None:
        self._source, self._stored, self._name = source, stored, name
        self._hasher, self._read = hashlib.sha256(), 0

    def read(self, size: int = -1) -> bytes:
        data = self._source.read(size)
        self._hasher.update(data)
        self._read += len(data)
        if not data or self._read >= self._stored.size:
            found = self._hasher.hexdigest()
            if (self._read, found) != (self._stored.size, self._stored.digest):
                raise ArtifactRefused(f"file {self._name!r}", "it changed while it was stored")
        return data


def open_blob_store(url: str, copies: Path, credential: Any = None, **options: Any) -> BlobStore:
    """The store on `https://ACCOUNT.blob.core.windows.net/CONTAINER`; `copies` is a folder for
    local copies. The container is made where it is missing and this process may make it.

    `credential`: as the SDK takes it, None where the URL holds a signature. `options` are the
    client's, e.g. `connection_verify`. Raises StoreAway, ArtifactRefused for no such URL.
    """
    try:
        container = ContainerClient.from_container_url(
            url,
            credential=credential,
            max_block_size=_BLOCK,
            max_single_put_size=_BLOCK,
            max_chunk_get_size=_BLOCK,
            max_single_get_size=_BLOCK,
            **_PATIENCE | options,
        )
    except ValueError as cause:
        raise ArtifactRefused("FLEET_ARTIFACTS_URL", str(cause)) from None
    with _away(), contextlib.suppress(ResourceExistsError):
        _make(container)
    return BlobStore(container, FolderStore(copies))


def _make(container: ContainerClient) -> None:
    """Where this process may not ask, or may not make one, the first put or read will tell."""
    try:
        if not container.exists():
            container.create_container()
    except HttpResponseError as refused:
        if refused.status_code != 403:
            raise


def _properties(blob: BlobClient) -> BlobProperties | None:
    try:
        return blob.get_blob_properties()
    except ResourceNotFoundError:
        return None


def _whole(there: BlobProperties, stored: Stored) -> bool:
    return there.size == stored.size and there.metadata.get(_DIGEST) == stored.digest


def _lease_of(digest: str) -> str:
    """Every process knows the lease by its artifact, so that any may heal it."""
    return str(uuid.uuid5(_LEASES, digest))


def _hold(blob: BlobClient, digest: str) -> None:
    # Asking again with the same id is granted again; with another's lease it is as well held.
    with contextlib.suppress(ResourceExistsError):
        blob.acquire_lease(lease_duration=-1, lease_id=_lease_of(digest))


@contextlib.contextmanager
def _away() -> Iterator[None]:
    """The SDK's errors as one of the medium. Its texts hold the request's URL: only the code goes
    on."""
    try:
        yield
    except (ResourceExistsError, ResourceModifiedError, ResourceNotFoundError):
        raise
    except AzureError as cause:
        status = getattr(cause, "status_code", None)
        code = getattr(cause, "error_code", None) or type(cause).__name__
        said = f"{code} ({status})" if status else str(code)
        raise StoreAway(f"the artifact store cannot be used: {said}") from None
