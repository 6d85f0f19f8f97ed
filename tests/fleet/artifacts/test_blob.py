"""The blob store on Azurite, over TLS, signed in by workload identity: nothing here has a key."""

import asyncio
import gzip
import itertools
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from azure.core.exceptions import HttpResponseError
from azure.storage.blob import BlobClient, ContainerClient, ExponentialRetry

from console.archiving import archived
from console.site import Site
from contracts.artifact import Tier
from fleet.archiving import Archived
from fleet.artifacts.blob import BlobStore, open_blob_store
from fleet.artifacts.errors import ArtifactRefused, StoreAway
from fleet.artifacts.store import key
from fleet.identity import default_credential
from fleet.ledger.ledger import Ledger
from localbus.certificate import ensure_certificate
from tests.fleet.artifacts.conformance import Damage, StoreConformance, a_pointer
from tests.fleet.ledger.story import a_run, finished
from tests.servers.azurite import Azurite, running_azurite
from tests.servers.cutting import cutting_proxy
from tests.servers.tokens import TokenService, be_a_pod, running_token_service

NOT_AGAIN = ExponentialRetry(initial_backoff=0, increment_base=0, retry_total=1)
_numbers = itertools.count()


@dataclass(frozen=True)
class Cloud:
    azurite: Azurite
    tokens: TokenService
    certificate: Path


@pytest.fixture(scope="module")
def cloud(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cloud]:
    """Azurite and a token service, and this process as a pod that may sign in."""
    folder = tmp_path_factory.mktemp("cloud")
    certificate, private = ensure_certificate(folder, "127.0.0.1")
    with (
        running_azurite(folder / "blobs", certificate, private) as azurite,
        running_token_service(certificate, private) as tokens,
        pytest.MonkeyPatch.context() as patch,
    ):
        be_a_pod(patch, folder, tokens, certificate)
        yield Cloud(azurite, tokens, certificate)


@pytest.fixture
def url(cloud: Cloud) -> str:
    """A container that is not there yet."""
    return cloud.azurite.container(f"artifacts-{next(_numbers)}")


@pytest.fixture
def store(url: str, tmp_path: Path) -> Iterator[BlobStore]:
    opened = open_blob_store(url, tmp_path / "copies", default_credential())
    yield opened
    opened.close()


@pytest.fixture
def blob(url: str) -> Iterator[Callable[[Tier, str], BlobClient]]:
    """The SDK's own client of an artifact."""
    with ContainerClient.from_container_url(url, credential=default_credential()) as container:
        yield lambda tier, digest: container.get_blob_client(key(tier, digest))


class TestBlobStore(StoreConformance):
    """The blob store keeps what every store promises."""

    @pytest.fixture
    def store(self, store: BlobStore) -> BlobStore:
        return store

    @pytest.fixture
    def damage(self, blob: Callable[[Tier, str], BlobClient]) -> Damage:
        def overwrite(tier: Tier, digest: str, data: bytes) -> None:
            blob(tier, digest).upload_blob(data, overwrite=True)

        return overwrite


def test_a_pod_signs_in_by_its_federated_token(cloud: Cloud, store: BlobStore) -> None:
    """The assertion of the token file buys a token for storage, and that opens the store."""
    store.put_bytes(Tier.BRONZE, b"rows")

    assert set(cloud.tokens.scopes) == {"https://storage.azure.com/.default"}


def test_a_pod_without_a_token_is_told_so(
    url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is refused as an error of the medium, which names neither address nor token."""
    (tmp_path / "other").write_text("of another cluster")
    monkeypatch.setenv("AZURE_FEDERATED_TOKEN_FILE", str(tmp_path / "other"))

    with pytest.raises(StoreAway) as away:
        open_blob_store(url, tmp_path / "copies", default_credential(), retry_policy=NOT_AGAIN)

    assert "127.0.0.1" not in str(away.value)


def test_a_put_asks_for_nothing_that_is_there(
    store: BlobStore, blob: Callable[[Tier, str], BlobClient]
) -> None:
    """Putting again leaves the blob as it was, down to its ETag."""
    stored = store.put_bytes(Tier.BRONZE, b"rows")
    first = blob(Tier.BRONZE, stored.digest).get_blob_properties().etag

    store.put_bytes(Tier.BRONZE, b"rows")

    assert blob(Tier.BRONZE, stored.digest).get_blob_properties().etag == first


def test_evidence_is_held_and_heals_all_the_same(
    store: BlobStore, blob: Callable[[Tier, str], BlobClient]
) -> None:
    """Nobody deletes or replaces evidence by accident; the store itself still mends it."""
    stored = store.put_bytes(Tier.EVIDENCE, b"who approved")
    held = blob(Tier.EVIDENCE, stored.digest)

    for change in (held.delete_blob, lambda: held.upload_blob(b"other", overwrite=True)):
        with pytest.raises(HttpResponseError) as refused:
            change()
        assert refused.value.status_code == 412
    lease = held.get_blob_properties().lease
    assert (lease.state, lease.duration) == ("leased", "infinite")
    assert store.put_bytes(Tier.EVIDENCE, b"who approved") == stored


def test_a_cut_connection_leaves_no_half_artifact(
    cloud: Cloud, store: BlobStore, url: str, tmp_path: Path
) -> None:
    """Cut in the middle of the second block, and again while it is tried again: nothing is there,
    and the next put brings the whole."""
    data = os.urandom(20 << 20)
    (tmp_path / "rows").write_bytes(data)
    with cutting_proxy(cloud.azurite.port) as proxy:
        shaky = open_blob_store(
            url.replace(f":{cloud.azurite.port}/", f":{proxy.port}/"),
            tmp_path / "other",
            default_credential(),
            retry_policy=NOT_AGAIN,
        )
        proxy.left = 12 << 20
        with pytest.raises(StoreAway):
            shaky.put_file(Tier.BRONZE, tmp_path / "rows")
        half = store.put_bytes(Tier.CURATED, data)  # tells the digest
        there = store.has(Tier.BRONZE, half.digest)

        proxy.left = None
        whole = shaky.put_file(Tier.BRONZE, tmp_path / "rows")
        shaky.close()

    assert proxy.cuts > 0
    assert not there
    assert store.read(a_pointer(whole)) == data


def test_runs_are_archived_into_the_store_that_the_settings_name(
    cloud: Cloud, url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`fleet archive` where artifacts lie in a container: nothing is left on this machine that
    another one could not read."""
    home = tmp_path / "home"
    home.mkdir()
    asyncio.run(_one_run_ended(home / "ledger.db"))
    monkeypatch.setenv("FLEET_ARTIFACTS_URL", url)
    told: list[Archived] = []

    total = archived(Site.find(home), 0, told.append)

    assert (total.runs, total.tasks) == (1, 2)
    pointer = told[0].archive
    assert pointer is not None
    elsewhere = open_blob_store(url, tmp_path / "other", default_credential())
    assert gzip.decompress(elsewhere.read(pointer)).count(b"\n") == total.rows
    elsewhere.close()


async def _one_run_ended(path: Path) -> None:
    async with await Ledger.open(f"sqlite:///{path}") as ledger:
        await finished(ledger, (await ledger.start_run(a_run())).run)


def test_what_is_no_address_of_a_container_is_refused(tmp_path: Path) -> None:
    """The setting is named, not the SDK's inside."""
    with pytest.raises(ArtifactRefused, match="FLEET_ARTIFACTS_URL"):
        open_blob_store("https://account.blob.core.windows.net", tmp_path)


def test_a_large_artifact_needs_little_memory(cloud: Cloud, url: str) -> None:
    """160 MiB go there and back in a process that never has 200 MiB, Python and SDK included; `make
    bench-blob` does it with 1 GiB."""
    done = subprocess.run(
        [sys.executable, "-m", "bench.blob", "--url", url, "--mib", "160", "--most-mib", "200"],
        cwd=Path(__file__).parents[3],
        capture_output=True,
        text=True,
        check=False,
    )

    assert done.returncode == 0, done.stdout + done.stderr
