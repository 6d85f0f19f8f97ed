"""Logs: one line an event, for people or for machines, without secrets."""

import io
import json
import logging
from collections.abc import Iterator

import pytest
from opentelemetry.sdk.trace import TracerProvider

from fleet.telemetry.logs import start_logging
from tests.policies.secrets import PLANTED

LOG = logging.getLogger("fleet.bus")


@pytest.fixture(autouse=True)
def _as_it_was() -> Iterator[None]:
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield
    root.handlers[:] = handlers
    root.setLevel(level)


@pytest.fixture
def out() -> io.StringIO:
    return io.StringIO()


def fail(text: str) -> None:
    raise ConnectionError(text)


def test_a_line_of_json_an_event(out: io.StringIO) -> None:
    """Machines read when, how grave, which process, which part, what."""
    start_logging("worker", stream=out)

    LOG.info("%d envelopes\nsent", 3)

    (line,) = out.getvalue().splitlines()
    told = json.loads(line)
    assert told.pop("at").endswith("+00:00")
    assert told == {
        "level": "info",
        "service": "worker",
        "logger": "fleet.bus",
        "message": "3 envelopes\nsent",
    }


def test_a_line_says_its_trace(out: io.StringIO) -> None:
    """What is logged within a span is found from its trace."""
    start_logging("worker", stream=out)
    provider = TracerProvider(shutdown_on_exit=False)
    with provider.get_tracer("test").start_as_current_span("process") as span:
        LOG.warning("late")

    told = json.loads(out.getvalue())
    assert told["trace_id"] == f"{span.get_span_context().trace_id:032x}"
    assert told["span_id"] == f"{span.get_span_context().span_id:016x}"


@pytest.mark.parametrize("plain", [True, False])
def test_no_secret_and_no_place_is_logged(out: io.StringIO, plain: bool) -> None:
    """Neither in a message, nor in an argument, nor in an exception, nor in its causes."""
    start_logging("worker", stream=out, plain=plain)
    secret = PLANTED["service bus"][1]
    try:
        try:
            fail(f"no answer from {secret}")
        except ConnectionError as cause:
            raise RuntimeError(f"gave up on {secret}") from cause
    except RuntimeError:
        LOG.exception("cannot send to %s", secret)

    told = out.getvalue()
    assert "[connection_string]" in told
    assert secret[-12:] not in told
    assert __file__ not in told
    assert f"{__name__}.fail:" in told
    assert told.index("RuntimeError") < told.index("ConnectionError")


def test_people_read_plain_lines(out: io.StringIO) -> None:
    """In a terminal: time, level, part, message."""
    start_logging("worker", stream=out, plain=True)

    LOG.warning("a lease was lost")

    assert out.getvalue().endswith(" WARNING fleet.bus: a lease was lost\n")


def test_libraries_are_heard_from_warning_on(out: io.StringIO) -> None:
    """An SDK's chatter, which may hold addresses, is not logged; our own is."""
    start_logging("worker", stream=out)

    logging.getLogger("azure.servicebus").info("connecting")
    logging.getLogger("httpx").info("GET https://example.org")
    logging.getLogger("workers.executor").info("started")

    assert [json.loads(line)["message"] for line in out.getvalue().splitlines()] == ["started"]


def test_setting_up_twice_logs_once(out: io.StringIO) -> None:
    """The last set-up counts."""
    start_logging("worker", stream=io.StringIO())
    start_logging("worker", stream=out)

    LOG.info("once")

    assert len(out.getvalue().splitlines()) == 1


def test_a_group_of_faults_is_told_whole(out: io.StringIO) -> None:
    """Every fault of a task group is in the line."""
    start_logging("worker", stream=out)
    group = ExceptionGroup("two parts failed", [ValueError("first"), OSError("second")])

    LOG.error("stopped", exc_info=group)

    stack = json.loads(out.getvalue())["stack"]
    assert [line for line in stack if "first" in line or "second" in line] == [
        "ValueError: first",
        "OSError: second",
    ]
