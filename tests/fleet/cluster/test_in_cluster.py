"""Inside a pod: its service account's token and the cluster's certificate, from their files."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from fleet.cluster.cluster import open_cluster
from fleet.cluster.errors import ClusterRefused, ClusterUnavailable
from fleet.cluster.look import look
from localbus.certificate import ensure_certificate
from tests.fleet.cluster.api_server import ApiServer, running_api_server
from tests.fleet.cluster.objects import deployed


@pytest.fixture
def tls(tmp_path: Path) -> tuple[Path, Path]:
    return _certificate(tmp_path / "tls")


def _certificate(folder: Path) -> tuple[Path, Path]:
    folder.mkdir()
    return ensure_certificate(folder, "127.0.0.1")


@pytest.fixture
def account(tmp_path: Path, tls: tuple[Path, Path]) -> Path:
    """As the kubelet mounts it: files behind a link that is swapped at once."""
    folder = tmp_path / "serviceaccount"
    folder.mkdir()
    (folder / "ca.crt").write_bytes(tls[0].read_bytes())
    _token(folder, "first")
    (folder / "token").symlink_to(Path("..data") / "token")
    return folder


def _token(folder: Path, token: str) -> None:
    (folder / f"..{token}").mkdir()
    (folder / f"..{token}" / "token").write_text(token)
    (folder / "..new").symlink_to(f"..{token}")
    (folder / "..new").replace(folder / "..data")


@pytest.fixture
def pod(tls: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch) -> Iterator[ApiServer]:
    """An API server over TLS, and this process in a pod of its cluster."""
    with running_api_server(tls) as server:
        monkeypatch.setenv("KUBERNETES_SERVICE_HOST", "127.0.0.1")
        monkeypatch.setenv("KUBERNETES_SERVICE_PORT", server.url.rpartition(":")[2])
        yield server


def test_a_pod_signs_in_by_its_account_and_with_the_token_of_the_moment(
    pod: ApiServer, account: Path
) -> None:
    """No kubeconfig; the kubelet's new token is sent with the very next request."""
    deployed(pod, "mirror", 2)

    with open_cluster(account=account) as cluster:
        (mirror,) = look(cluster, ["mirror"])
        before = len(pod.tokens)
        _token(account, "second")
        look(cluster, ["mirror"])

    assert mirror.replicas == 2
    assert set(pod.tokens[:before]) == {"first"}
    assert set(pod.tokens[before:]) == {"second"}


def test_a_cluster_with_another_certificate_gets_no_token(
    pod: ApiServer, account: Path, tmp_path: Path
) -> None:
    """Whoever stands between pod and cluster learns nothing."""
    other, _ = _certificate(tmp_path / "other")
    (account / "ca.crt").write_bytes(other.read_bytes())

    with open_cluster(account=account) as cluster, pytest.raises(ClusterUnavailable):
        look(cluster, ["mirror"])

    assert pod.tokens == []


def test_a_pod_without_an_account_is_told_so(
    pod: ApiServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`automountServiceAccountToken: false` leaves nothing to sign in with."""
    monkeypatch.setenv("KUBECONFIG", str(tmp_path / "absent"))

    with pytest.raises(ClusterRefused, match="no cluster to ask"):
        open_cluster(account=tmp_path / "absent")
