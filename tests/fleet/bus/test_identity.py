"""Service Bus without a key: this process's identity, over TLS, as far as loopback goes."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from azure.servicebus import TransportType

from contracts.lane import Lane, LaneTable
from fleet.artifacts.folder import FolderStore
from fleet.bus.admin import BusAdmin
from fleet.bus.bus import INTAKE_QUEUE, open_bus
from fleet.bus.errors import BusUnavailable
from localbus.certificate import ensure_certificate
from localbus.sas import Grant, SasKeys, TokenRefused, resource_path
from localbus.testing import RunningBus, running_bus
from tests.fleet.bus.test_bus import a_message, receiving
from tests.servers.tokens import TokenService, be_a_pod, running_token_service

LANES = LaneTable([Lane(name="a", kinds=("test.a",))])


class IssuedTokens(SasKeys):
    """What the bus takes: tokens of the token service for Service Bus, and no shared key."""

    __slots__ = ("audiences", "service")

    def __init__(self, service: TokenService) -> None:
        super().__init__({"nobody": "has a key"})
        object.__setattr__(self, "service", service)
        object.__setattr__(self, "audiences", [])

    service: TokenService
    audiences: list[str]

    def grant(self, token: str, audience: str, now_ms: int) -> Grant:
        issued = dict(zip(self.service.tokens, self.service.scopes, strict=True))
        scope = issued.get(token.removeprefix("Bearer "), "")
        if not scope.startswith("https://servicebus.azure.net/"):
            raise TokenRefused("InvalidToken: nobody issued this token.")
        self.audiences.append(audience)
        return Grant(resource_path(audience), now_ms + 3_600_000)


@pytest.fixture
def pod(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[TokenService]:
    """This process as a pod that may sign in."""
    (tmp_path / "tokens").mkdir()
    certificate, private = ensure_certificate(tmp_path / "tokens", "127.0.0.1")
    with running_token_service(certificate, private) as service:
        be_a_pod(monkeypatch, tmp_path, service, certificate)
        yield service


@pytest.fixture
def keys(pod: TokenService) -> IssuedTokens:
    return IssuedTokens(pod)


@pytest.fixture
def broker(tmp_path: Path, keys: IssuedTokens) -> Iterator[RunningBus]:
    with running_bus(tmp_path, queues=["lane-a"], tls=True, sas_keys=keys) as running:
        yield running


async def test_messages_go_by_a_token_given_to_cbs(
    broker: RunningBus, keys: IssuedTokens, tmp_path: Path
) -> None:
    """The token that the federated file bought is put on `$cbs` for the queue, and then messages
    are sent and taken; no connection string is there."""
    async with open_bus(
        "127.0.0.1",
        FolderStore(tmp_path / "bodies"),
        custom_endpoint_address=f"sb://127.0.0.1:{broker.amqp_port}",
        connection_verify=broker.certificate,
        transport_type=TransportType.Amqp,
    ) as bus:
        await bus.publish("lane-a", [a_message()])
        async with receiving(bus) as (deliveries, _):
            delivery = await anext(deliveries)
            taken = delivery.message.message_id
            await delivery.complete()

    assert taken == "m1"
    assert {resource_path(audience) for audience in keys.audiences} == {"lane-a"}


def test_administration_goes_by_a_token(broker: RunningBus) -> None:
    """Queues are made and counted as this process."""
    with BusAdmin(f"127.0.0.1:{broker.admin_port}", Path(broker.certificate)) as admin:
        assert admin.ensure_queues(LANES) == [INTAKE_QUEUE]
        assert set(admin.counts()) == {INTAKE_QUEUE, "lane-a"}


async def test_a_process_that_nobody_knows_is_refused(
    broker: RunningBus, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is told in the fleet's words, without a token in them."""
    (tmp_path / "other").write_text("of another cluster")
    monkeypatch.setenv("AZURE_FEDERATED_TOKEN_FILE", str(tmp_path / "other"))

    with (
        BusAdmin(f"127.0.0.1:{broker.admin_port}", Path(broker.certificate)) as admin,
        pytest.raises(BusUnavailable) as refused,
    ):
        admin.counts()

    assert "another cluster" not in str(refused.value)
