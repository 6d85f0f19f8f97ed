"""The artifact store that the settings name."""

from pathlib import Path

from fleet.artifacts.folder import FolderStore
from fleet.artifacts.store import ArtifactStore
from fleet.errors import FleetError


class StoreLibraryMissing(FleetError):
    """The library of Azure Blob Storage is not installed. Nothing was read or stored."""


def open_store(url: str | None, folder: Path) -> ArtifactStore:
    """The store on a blob container, its local copies in `folder`; without a URL, `folder` itself.

    Signs in as this process (fleet.identity), unless the URL holds a signature. Raises
    StoreLibraryMissing, IdentityMissing, StoreAway, ArtifactRefused for no URL of a container.
    """
    if url is None:
        return FolderStore(folder)
    try:
        from fleet.artifacts.blob import open_blob_store
    except ImportError as cause:
        raise StoreLibraryMissing(
            f"FLEET_ARTIFACTS_URL needs a library that is not installed ({cause.name}): "
            "install leaf-fleet[azure]"
        ) from None
    from fleet.identity import default_credential

    return open_blob_store(url, folder, None if "sig=" in url else default_credential())
