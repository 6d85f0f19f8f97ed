"""What every artifact store must do. A store's tests subclass this and give the fixtures."""

import hashlib
import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from contracts.artifact import ArtifactPointer, Scope, Tier
from fleet.artifacts.errors import ArtifactDamaged, ArtifactMissing, ArtifactRefused
from fleet.artifacts.store import ArtifactStore, Stored

Damage = Callable[[Tier, str, bytes], None]


def a_pointer(
    stored: Stored, tier: Tier = Tier.BRONZE, name: str = "claims.csv"
) -> ArtifactPointer:
    return ArtifactPointer(
        name=name,
        digest=stored.digest,
        size=stored.size,
        media_type="text/csv",
        tier=tier,
        scope=Scope(tenant="acme"),
    )


class StoreConformance:
    """Subclasses give `store`, and `damage(tier, digest, data)`: overwrite what is stored."""

    @pytest.fixture
    def store(self) -> ArtifactStore:
        raise NotImplementedError

    @pytest.fixture
    def damage(self) -> Damage:
        raise NotImplementedError

    @given(data=st.binary(max_size=5000), tier=st.sampled_from(Tier))
    @settings(
        max_examples=25,
        deadline=None,
        # Differing executors: each store runs this test as its own.
        suppress_health_check=[
            HealthCheck.function_scoped_fixture,
            HealthCheck.differing_executors,
        ],
    )
    def test_what_was_put_is_read(self, store: ArtifactStore, data: bytes, tier: Tier) -> None:
        """Reading gives back the bytes that were put, named by their SHA-256."""
        stored = store.put_bytes(tier, data)

        assert stored == Stored(digest=hashlib.sha256(data).hexdigest(), size=len(data))
        assert store.read(a_pointer(stored, tier)) == data
        assert store.local_path(a_pointer(stored, tier)).read_bytes() == data

    def test_a_file_and_its_bytes_are_one_artifact(
        self, store: ArtifactStore, tmp_path: Path
    ) -> None:
        """Putting a file gives what putting its bytes gives, and leaves the file alone."""
        data = os.urandom(3 * (1 << 20) + 17)
        path = tmp_path / "rows.parquet"
        path.write_bytes(data)

        assert store.put_file(Tier.SILVER, path) == store.put_bytes(Tier.SILVER, data)
        assert path.read_bytes() == data

    def test_putting_twice_is_putting_once(self, store: ArtifactStore) -> None:
        """A put may be repeated: it tells the same and the bytes stay readable."""
        first = store.put_bytes(Tier.BRONZE, b"once")

        assert store.put_bytes(Tier.BRONZE, b"once") == first
        assert store.read(a_pointer(first)) == b"once"

    def test_tiers_are_apart(self, store: ArtifactStore) -> None:
        """Bytes put into one tier are not in another."""
        stored = store.put_bytes(Tier.BRONZE, b"raw")

        assert store.has(Tier.BRONZE, stored.digest)
        assert not store.has(Tier.CURATED, stored.digest)
        with pytest.raises(ArtifactMissing):
            store.read(a_pointer(stored, Tier.CURATED))

    def test_what_is_not_there_is_missing(self, store: ArtifactStore) -> None:
        """A pointer to nothing raises ArtifactMissing, which names the artifact and no place."""
        pointer = a_pointer(Stored(digest="0" * 64, size=1))

        assert not store.has(Tier.BRONZE, pointer.digest)
        for attempt in (store.read, store.local_path):
            with pytest.raises(ArtifactMissing) as missing:
                attempt(pointer)
            assert str(missing.value).startswith(pointer.uri)

    @pytest.mark.parametrize("wrong", [b"damage", b"x", b"", b"damaged and longer"])
    def test_damage_is_never_read(self, store: ArtifactStore, damage: Damage, wrong: bytes) -> None:
        """Bytes that are not the pointer's are never given out, whatever their length."""
        stored = store.put_bytes(Tier.BRONZE, b"intact")

        damage(Tier.BRONZE, stored.digest, wrong)

        for attempt in (store.read, store.local_path):
            with pytest.raises(ArtifactDamaged):
                attempt(a_pointer(stored))

    def test_a_put_heals_damage(self, store: ArtifactStore, damage: Damage) -> None:
        """Making a damaged artifact again makes it readable again."""
        stored = store.put_bytes(Tier.BRONZE, b"intact")
        damage(Tier.BRONZE, stored.digest, b"damage")

        store.put_bytes(Tier.BRONZE, b"intact")

        assert store.read(a_pointer(stored)) == b"intact"

    def test_a_pointer_with_a_wrong_size_is_not_believed(self, store: ArtifactStore) -> None:
        """The size is proven as the digest is."""
        stored = store.put_bytes(Tier.BRONZE, b"four")

        with pytest.raises(ArtifactDamaged):
            store.read(a_pointer(stored.model_copy(update={"size": 5})))

    @pytest.mark.parametrize(
        "digest", ["../../../etc/passwd", "", "AB" * 32, "a" * 63, "a" * 65, "a" * 64 + "\n", "\0"]
    )
    def test_a_hostile_name_is_refused(self, store: ArtifactStore, digest: str) -> None:
        """What is not a digest never becomes a key."""
        with pytest.raises(ArtifactRefused):
            store.has(Tier.BRONZE, digest)

    def test_only_regular_files_are_taken(self, store: ArtifactStore, tmp_path: Path) -> None:
        """A link, a folder, a pipe or nothing at all is refused, and its place is not told."""
        secret = tmp_path / "secret"
        secret.write_bytes(b"not yours")
        (tmp_path / "link").symlink_to(secret)
        (tmp_path / "folder").mkdir()
        os.mkfifo(tmp_path / "pipe")

        for name in ("link", "folder", "pipe", "nothing"):
            with pytest.raises(ArtifactRefused) as refused:
                store.put_file(Tier.BRONZE, tmp_path / name)
            assert str(tmp_path) not in str(refused.value)

    def test_racing_puts_agree(self, store: ArtifactStore) -> None:
        """Many putting the same bytes at once all succeed with the same name."""
        data = os.urandom(200_000)
        with ThreadPoolExecutor(8) as pool:
            told = set(pool.map(lambda _: store.put_bytes(Tier.BRONZE, data), range(32)))

        assert len(told) == 1
        assert store.read(a_pointer(told.pop())) == data
