"""`fleet bus apply`: a namespace is made what the lanes need, again and again to the same end."""

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest
from azure.servicebus.management import ServiceBusAdministrationClient, SqlRuleFilter

from contracts.lane import Lane, LaneTable
from fleet.bus.admin import BusAdmin
from fleet.bus.topology import Feed, load_feeds, wanted
from fleet.lanes import LanesRefused, load_lanes
from localbus.testing import RunningBus, running_bus

LANES = LaneTable([Lane(name="a", kinds=("test.a",), lease=60.0)])
FEED = Feed(topic="orders", name="paid", sql="kind = 'paid'")
TOPOLOGY = wanted(LANES, (FEED,))

LANES_FILE = """
[a]
kinds = ["test.a"]

[topics.orders.paid]
forward_to = "intake"
sql = "kind = 'paid'"
"""


@pytest.fixture
def broker(tmp_path: Path) -> Iterator[RunningBus]:
    with running_bus(tmp_path) as running:
        yield running


@pytest.fixture
def admin(broker: RunningBus) -> Iterator[BusAdmin]:
    with BusAdmin(broker.admin_connection_string, Path(broker.certificate)) as opened:
        yield opened


@pytest.fixture
def sdk(broker: RunningBus) -> Iterator[ServiceBusAdministrationClient]:
    with ServiceBusAdministrationClient.from_connection_string(
        broker.admin_connection_string, connection_verify=broker.certificate
    ) as client:
        yield client


def test_an_empty_namespace_gets_everything_and_then_nothing(
    admin: BusAdmin, sdk: ServiceBusAdministrationClient
) -> None:
    """Checking tells what applying then makes; applied again, nothing differs."""
    told = admin.differences(TOPOLOGY)
    made = admin.apply(TOPOLOGY)

    assert [(one.entity, one.action) for one in told] == [
        ("intake", "create"),
        ("lane-a", "create"),
        ("orders", "create"),
        ("orders/Subscriptions/paid", "create"),
    ]
    assert made == told
    assert admin.differences(TOPOLOGY) == admin.apply(TOPOLOGY) == []
    assert sdk.get_queue("lane-a").lock_duration == timedelta(seconds=60)
    rule = sdk.get_rule("orders", "paid", "$Default").filter
    assert isinstance(rule, SqlRuleFilter)
    assert rule.sql_expression == FEED.sql


def test_what_was_changed_by_hand_is_brought_back(
    admin: BusAdmin, sdk: ServiceBusAdministrationClient
) -> None:
    """A lock, a rule, a rule too many: each is told with what was found, and mended. What else is
    there stays."""
    admin.apply(TOPOLOGY)
    sdk.create_queue("somebody-elses")
    queue = sdk.get_queue("lane-a")
    queue.lock_duration = timedelta(seconds=5)
    sdk.update_queue(queue)
    rule = sdk.get_rule("orders", "paid", "$Default")
    rule.filter = SqlRuleFilter("1=0")
    sdk.update_rule("orders", "paid", rule)
    sdk.create_rule("orders", "paid", "extra", filter=SqlRuleFilter("1=1"))

    told = admin.apply(TOPOLOGY)

    assert [(one.entity, one.field, one.found) for one in told] == [
        ("lane-a", "lock_duration", "0:00:05"),
        ("orders/Subscriptions/paid", "rule", "1=0"),
        ("orders/Subscriptions/paid", "rule extra", "extra"),
    ]
    assert admin.differences(TOPOLOGY) == []
    assert "somebody-elses" in admin.counts()


def test_what_only_a_new_queue_can_have_is_told_and_left(
    admin: BusAdmin, sdk: ServiceBusAdministrationClient
) -> None:
    """No queue with messages is thrown away for a setting."""
    sdk.create_queue("intake", requires_duplicate_detection=False)

    for _ in range(2):
        [fixed] = [one for one in admin.apply(TOPOLOGY) if one.action == "recreate"]

    assert (fixed.entity, fixed.field) == ("intake", "requires_duplicate_detection")
    assert "intake" in admin.counts()


def test_feeds_are_read_from_the_lanes_file(tmp_path: Path) -> None:
    """The table of topics is no lane; a feed to a queue that is not there is refused by name."""
    file = tmp_path / "lanes.toml"
    file.write_text(LANES_FILE)

    lanes = load_lanes(file)
    assert [lane.name for lane in lanes] == ["a"]
    assert load_feeds(file, lanes) == (FEED,)
    file.write_text(LANES_FILE.replace('"intake"', '"elsewhere"'))
    with pytest.raises(LanesRefused, match="elsewhere"):
        load_feeds(file, lanes)
