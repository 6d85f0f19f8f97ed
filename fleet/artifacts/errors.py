"""What can be wrong with an artifact.

ArtifactFault
├── ArtifactMissing   the store does not hold it: make it again, or look in another store
├── ArtifactDamaged   the bytes are not those of the name: never use them
└── ArtifactRefused   this cannot become an artifact, or is not the name of one

StoreAway, an OSError like that of a full disk, is the medium's fault and passes.
"""

from fleet.errors import FleetError


class ArtifactFault(FleetError):
    """The base of this family. `uri` names the artifact, never a place on this machine."""

    def __init__(self, uri: str, message: str) -> None:
        super().__init__(f"{uri}: {message}")
        self.uri = uri


class ArtifactMissing(ArtifactFault):
    """The store does not hold this artifact. Nothing was read."""

    def __init__(self, uri: str) -> None:
        super().__init__(uri, "the store does not hold it")


class ArtifactDamaged(ArtifactFault):
    """The stored bytes do not have the digest or the size that the pointer states."""

    def __init__(self, uri: str, found: str) -> None:
        super().__init__(uri, f"the stored bytes are damaged: {found}")


class ArtifactRefused(ArtifactFault):
    """Not a regular file, or not a name that the store could have given. Nothing was stored."""


class StoreAway(FleetError, OSError):
    """The store cannot be reached, or refuses this process. No half artifact was left."""

    def __str__(self) -> str:
        return str(self.args[0])
