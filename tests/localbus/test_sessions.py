"""What a user of azure-servicebus (sync) can rely on with sessions, over real sockets."""

from __future__ import annotations

import gc
import threading
from datetime import UTC, datetime, timedelta

import pytest
from azure.servicebus import (
    NEXT_AVAILABLE_SESSION,
    ServiceBusClient,
    ServiceBusMessage,
    ServiceBusReceiveMode,
    ServiceBusSubQueue,
)
from azure.servicebus._common import mgmt_handlers
from azure.servicebus.exceptions import (
    OperationTimeoutError,
    ServiceBusError,
    SessionCannotBeLockedError,
    SessionLockLostError,
)

from localbus.testing import RunningBus, running_bus
from tests.localbus.conftest import QUEUE, loses_connections

WAIT = 5.0
SESSIONS = "talks"


@pytest.fixture(autouse=True)
def sessions(bus: RunningBus) -> None:
    bus.create_queue(SESSIONS, requires_session=True, max_delivery_count=3)


def send(client: ServiceBusClient, *bodies: str, queue: str = SESSIONS) -> None:
    """Send "session:text" each."""
    with client.get_queue_sender(queue) as sender:
        for body in bodies:
            sender.send_messages(ServiceBusMessage(body, session_id=body.partition(":")[0]))


def test_a_session_is_received_in_order_and_alone(client: ServiceBusClient) -> None:
    """A receiver of a named session gets its messages, in order, and no others."""
    send(client, "a:1", "b:1", "a:2", "b:2", "a:3")

    with client.get_queue_receiver(SESSIONS, session_id="a", max_wait_time=WAIT) as receiver:
        got = []
        for message in receiver:
            got.append(str(message))
            assert message.session_id == "a"
            receiver.complete_message(message)
            if len(got) == 3:
                break
        assert receiver.receive_messages(max_wait_time=0.3) == []
        assert receiver.session.session_id == "a"
        locked_until = receiver.session.locked_until_utc

    assert got == ["a:1", "a:2", "a:3"]
    assert locked_until is not None
    assert timedelta(seconds=30) < locked_until - datetime.now(UTC) <= timedelta(seconds=61)


def test_one_receiver_holds_a_session(client: ServiceBusClient) -> None:
    """A session that is held cannot be accepted by another; once closed it can."""
    send(client, "a:1")

    with (
        client.get_queue_receiver(SESSIONS, session_id="a", max_wait_time=WAIT),
        pytest.raises(SessionCannotBeLockedError),
        client.get_queue_receiver(SESSIONS, session_id="a", max_wait_time=1),
    ):
        pass
    with client.get_queue_receiver(SESSIONS, session_id="a", max_wait_time=WAIT) as receiver:
        [got] = receiver.receive_messages()
        receiver.complete_message(got)

    assert str(got) == "a:1"


def test_next_available_gives_each_receiver_another_session(client: ServiceBusClient) -> None:
    """Receivers that ask for the next session get different ones, all that there are."""
    send(client, "a:1", "b:1", "c:1")

    found = []
    with (
        client.get_queue_receiver(SESSIONS, session_id=NEXT_AVAILABLE_SESSION) as one,
        client.get_queue_receiver(SESSIONS, session_id=NEXT_AVAILABLE_SESSION) as two,
        client.get_queue_receiver(SESSIONS, session_id=NEXT_AVAILABLE_SESSION) as three,
    ):
        for receiver in (one, two, three):
            [got] = receiver.receive_messages(max_wait_time=WAIT)
            found.append((receiver.session.session_id, str(got)))

    assert sorted(found) == [("a", "a:1"), ("b", "b:1"), ("c", "c:1")]


def test_next_available_waits_for_a_session(client: ServiceBusClient) -> None:
    """A receiver that asks for the next session when there is none gets one that comes later."""
    later = threading.Timer(0.5, send, (client, "late:1"))
    later.start()

    with client.get_queue_receiver(
        SESSIONS, session_id=NEXT_AVAILABLE_SESSION, max_wait_time=10
    ) as receiver:
        [got] = receiver.receive_messages()
        receiver.complete_message(got)
    later.join()

    assert (receiver.session.session_id, str(got)) == ("late", "late:1")


def test_next_available_times_out(client: ServiceBusClient) -> None:
    """When no session comes within the wait, the receiver ends with a timeout."""
    with (
        pytest.raises(OperationTimeoutError),
        client.get_queue_receiver(SESSIONS, session_id=NEXT_AVAILABLE_SESSION, max_wait_time=1),
    ):
        pass


def test_a_session_lock_runs_out(client: ServiceBusClient, bus: RunningBus) -> None:
    """A session not renewed is lost with all its locks; its messages come back, counted once."""
    send(client, "a:1", "a:2")

    with client.get_queue_receiver(SESSIONS, session_id="a", max_wait_time=2) as receiver:
        [got] = receiver.receive_messages()
        bus.clock.advance(61)
        with pytest.raises(SessionLockLostError):
            receiver.complete_message(got)
    with client.get_queue_receiver(SESSIONS, session_id="a", max_wait_time=WAIT) as receiver:
        [again] = receiver.receive_messages()
        receiver.complete_message(again)

    assert (str(again), again.delivery_count) == ("a:1", 1)


def test_a_renewed_session_holds(client: ServiceBusClient, bus: RunningBus) -> None:
    """Renewal keeps a session and the locks of its messages for another lock duration."""
    send(client, "a:1")

    with client.get_queue_receiver(SESSIONS, session_id="a", max_wait_time=WAIT) as receiver:
        [got] = receiver.receive_messages()
        bus.clock.advance(45)
        until = receiver.session.renew_lock()
        bus.clock.advance(45)
        receiver.complete_message(got)

    assert until > datetime.now(UTC) + timedelta(seconds=60)
    assert bus.counts(SESSIONS)["active"] == 0


def test_a_closed_session_counts_no_delivery(client: ServiceBusClient) -> None:
    """Closing a session's receiver gives its messages back as if they had not been delivered."""
    send(client, "a:1", "a:2")
    with client.get_queue_receiver(SESSIONS, session_id="a", max_wait_time=WAIT) as receiver:
        receiver.receive_messages()

    with client.get_queue_receiver(SESSIONS, session_id="a", max_wait_time=WAIT) as receiver:
        [got] = receiver.receive_messages()
        receiver.complete_message(got)

    assert (str(got), got.delivery_count) == ("a:1", 0)


def test_state_is_kept_with_the_session(client: ServiceBusClient) -> None:
    """State set by one receiver is read by the next, until it is cleared."""
    with client.get_queue_receiver(SESSIONS, session_id="a", max_wait_time=WAIT) as receiver:
        assert receiver.session.get_state() is None
        receiver.session.set_state("step 3")
        assert receiver.session.get_state() == b"step 3"
    with client.get_queue_receiver(SESSIONS, session_id="a", max_wait_time=WAIT) as receiver:
        assert receiver.session.get_state() == b"step 3"
        receiver.session.set_state(None)
        assert receiver.session.get_state() is None


def test_state_of_a_lost_session_is_out_of_reach(client: ServiceBusClient, bus: RunningBus) -> None:
    """Who lost a session neither reads nor writes its state."""
    with client.get_queue_receiver(SESSIONS, session_id="a", max_wait_time=WAIT) as receiver:
        receiver.session.set_state("mine")
        bus.clock.advance(61)
        with pytest.raises(SessionLockLostError):
            receiver.session.set_state("too late")
    with client.get_queue_receiver(SESSIONS, session_id="a", max_wait_time=WAIT) as receiver:
        assert receiver.session.get_state() == b"mine"


def test_sessions_are_listed(client: ServiceBusClient) -> None:
    """The list has each session with messages or state, once."""
    send(client, *(f"s{number:03}:x" for number in range(150)), "s000:y")
    with client.get_queue_receiver(SESSIONS, session_id="quiet", max_wait_time=WAIT) as receiver:
        before = datetime.now(UTC) - timedelta(seconds=30)
        receiver.session.set_state("here")

    listed = list(client.list_queue_sessions(SESSIONS))
    updated = list(client.list_queue_sessions(SESSIONS, state_updated_after=before))

    assert listed == ["quiet", *(f"s{number:03}" for number in range(150))]
    assert updated == ["quiet"]


def test_numbers_out_of_range_are_refused(client: ServiceBusClient) -> None:
    """Numbers that nothing counts to get an error, and the connection goes on."""
    with client.get_queue_receiver(SESSIONS, session_id="a", max_wait_time=WAIT) as receiver:
        with pytest.raises(ServiceBusError):
            receiver._mgmt_request_response_with_retry(
                b"com.microsoft:get-message-sessions",
                {
                    "last-updated-time": {"TYPE": "ULONG", "VALUE": (1 << 64) - 1},
                    "skip": {"TYPE": "ULONG", "VALUE": (1 << 64) - 1},
                    "top": 1,
                },
                mgmt_handlers.default,
            )
        assert receiver.session.get_state() is None


def test_deferring_and_dead_lettering_stay_in_the_session(
    client: ServiceBusClient, bus: RunningBus
) -> None:
    """Within a session messages are deferred and received by number, and dead-lettered; the
    dead-letter queue has no sessions."""
    send(client, "a:1", "a:2", "b:1")

    with client.get_queue_receiver(SESSIONS, session_id="a", max_wait_time=WAIT) as receiver:
        one, two = [receiver.receive_messages()[0] for _ in range(2)]
        assert one.sequence_number is not None
        receiver.defer_message(one)
        receiver.dead_letter_message(two, reason="bad")
    with (
        client.get_queue_receiver(SESSIONS, session_id="b", max_wait_time=WAIT) as other,
        pytest.raises(ServiceBusError),
    ):
        other.receive_deferred_messages([one.sequence_number])
    with client.get_queue_receiver(SESSIONS, session_id="a", max_wait_time=WAIT) as receiver:
        [deferred] = receiver.receive_deferred_messages([one.sequence_number])
        receiver.complete_message(deferred)
    with client.get_queue_receiver(
        SESSIONS, sub_queue=ServiceBusSubQueue.DEAD_LETTER, max_wait_time=WAIT
    ) as dead_letters:
        [dead] = dead_letters.receive_messages()
        dead_letters.complete_message(dead)

    assert (str(deferred), str(dead), dead.session_id) == ("a:1", "a:2", "a")
    assert bus.counts(SESSIONS)["active"] == 1


def test_scheduled_messages_join_their_session(client: ServiceBusClient, bus: RunningBus) -> None:
    """A scheduled message is delivered in its session once it is due."""
    with client.get_queue_sender(SESSIONS) as sender:
        due = datetime.now(UTC) + timedelta(seconds=30)
        sender.schedule_messages(ServiceBusMessage("later", session_id="a"), due)

    with client.get_queue_receiver(SESSIONS, session_id="a", max_wait_time=WAIT) as receiver:
        assert receiver.receive_messages(max_wait_time=0.3) == []
        bus.clock.advance(30)
        [got] = receiver.receive_messages()
        receiver.complete_message(got)

    assert str(got) == "later"


def test_too_many_deliveries_dead_letter_within_a_session(
    client: ServiceBusClient, bus: RunningBus
) -> None:
    """Abandoned messages return to the head of their session until they were delivered too
    often."""
    send(client, "a:1", "a:2")

    with client.get_queue_receiver(SESSIONS, session_id="a", max_wait_time=WAIT) as receiver:
        got = []
        for _ in range(4):
            [message] = receiver.receive_messages()
            got.append((str(message), message.delivery_count))
            receiver.abandon_message(message)

    assert got == [("a:1", 0), ("a:1", 1), ("a:1", 2), ("a:2", 0)]
    assert bus.counts(SESSIONS)["dead_letter"] == 1


def test_receive_and_delete_in_a_session(client: ServiceBusClient, bus: RunningBus) -> None:
    """In receive-and-delete mode a session's messages are gone when they are delivered."""
    send(client, "a:1", "b:1")

    with client.get_queue_receiver(
        SESSIONS,
        session_id="a",
        receive_mode=ServiceBusReceiveMode.RECEIVE_AND_DELETE,
        max_wait_time=WAIT,
    ) as receiver:
        [got] = receiver.receive_messages()

    assert str(got) == "a:1"
    assert bus.counts(SESSIONS)["active"] == 1


def test_peek_in_a_session_shows_that_session(client: ServiceBusClient) -> None:
    """A session's receiver peeks its session only."""
    send(client, "a:1", "b:1", "a:2")

    with client.get_queue_receiver(SESSIONS, session_id="a", max_wait_time=WAIT) as receiver:
        seen = receiver.peek_messages(10, sequence_number=1)

    assert [str(message) for message in seen] == ["a:1", "a:2"]


def test_sessions_and_plain_queues_do_not_mix(client: ServiceBusClient) -> None:
    """Receivers with a session on a plain queue, without one on a queue with sessions, and
    messages without a session are refused."""
    with (
        pytest.raises(ServiceBusError, match="does not require sessions"),
        client.get_queue_receiver(QUEUE, session_id="a", max_wait_time=1),
    ):
        pass
    with (
        pytest.raises(ServiceBusError, match="non-sessionful"),
        client.get_queue_receiver(SESSIONS, max_wait_time=1),
    ):
        pass
    with client.get_queue_sender(SESSIONS) as sender, pytest.raises(ServiceBusError):
        sender.send_messages(ServiceBusMessage("no session"))


def test_expired_messages_leave_their_session(client: ServiceBusClient, bus: RunningBus) -> None:
    """Time to live holds in held sessions and in those nobody holds."""
    with client.get_queue_sender(SESSIONS) as sender:
        for name in ("a", "b"):
            brief = timedelta(seconds=10)
            sender.send_messages(ServiceBusMessage("old", session_id=name, time_to_live=brief))
            sender.send_messages(ServiceBusMessage("new", session_id=name))

    with client.get_queue_receiver(SESSIONS, session_id="a", max_wait_time=WAIT) as receiver:
        bus.clock.advance(11)
        [got] = receiver.receive_messages()
        receiver.complete_message(got)

    assert str(got) == "new"
    assert bus.counts(SESSIONS)["active"] == 1


@loses_connections
def test_a_dropped_connection_frees_its_session(client: ServiceBusClient, bus: RunningBus) -> None:
    """When a connection ends, its session can be accepted by another at once."""
    send(client, "a:1")
    with ServiceBusClient.from_connection_string(bus.connection_string, retry_total=0) as lost:
        receiver = lost.get_queue_receiver(SESSIONS, session_id="a", max_wait_time=WAIT)
        receiver.__enter__()
        receiver.receive_messages()
        bus.drop_connections()

        with client.get_queue_receiver(SESSIONS, session_id="a", max_wait_time=WAIT) as again:
            [got] = again.receive_messages()
            again.complete_message(got)
        receiver.close()
    gc.collect()

    assert str(got) == "a:1"


def test_a_restart_keeps_sessions(
    bus: RunningBus, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """Messages and state of sessions are there after a restart."""
    folder = tmp_path_factory.mktemp("kept")
    for turn in range(2):
        with running_bus(folder) as kept:
            kept.ensure_queue(SESSIONS, requires_session=True)
            with ServiceBusClient.from_connection_string(
                kept.connection_string, retry_total=0
            ) as client:
                if turn == 0:
                    send(client, "a:1", "a:2")
                with client.get_queue_receiver(
                    SESSIONS, session_id="a", max_wait_time=WAIT
                ) as receiver:
                    [got] = receiver.receive_messages()
                    receiver.complete_message(got)
                    assert str(got) == f"a:{turn + 1}"
                    if turn == 0:
                        receiver.session.set_state("kept")
                    assert receiver.session.get_state() == b"kept"
