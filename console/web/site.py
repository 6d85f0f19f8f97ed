"""What the pages work with. Built by `python -m console`, and by tests."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from console.intake import Intake
from console.web.beat import Beat
from console.web.bus_view import BusView
from console.web.cluster_view import ClusterView
from console.web.trends import Trends
from contracts.lane import LaneTable
from fleet.access.local import LocalSessions
from fleet.access.seal import Sealer
from fleet.access.source import IdentitySource
from fleet.artifacts.store import ArtifactStore
from fleet.clock import Clock
from fleet.ledger.browse import LedgerBrowser
from fleet.ledger.pulse import Pulse
from fleet.ledger.reader import LedgerReader
from fleet.settings import Settings
from policies.live import LiveGate


@dataclass(frozen=True, kw_only=True)
class WebSite:
    """One console. All parts are shared between requests and outlive them."""

    settings: Settings
    clock: Clock
    reader: LedgerReader
    browser: LedgerBrowser
    pulse: Pulse
    lanes: LaneTable
    gate: LiveGate
    store: ArtifactStore
    bus: BusView
    cluster: ClusterView
    trends: Trends
    beat: Beat
    identities: IdentitySource
    sealer: Sealer
    local: LocalSessions | None
    """The local login, where it is offered."""
    dispatcher: tuple[str, int]
    """Host and port that actions are asked of."""
    secure: bool = field(default=False)
    """Whether browsers come over TLS: then cookies go nowhere else."""

    def intake(self, login: Mapping[str, str]) -> Intake:
        """The dispatcher, for a `with` block. `login`: headers that say who asks it."""
        return Intake(*self.dispatcher, login=login)
