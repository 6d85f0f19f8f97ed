"""The words of faults."""

import pytest

from contracts.payload import PayloadRegistry
from contracts.stage_payloads import PAYLOADS
from workers.stages.faults import plain
from workers.stages.table import HANDLERS, handler_table


@pytest.mark.parametrize(
    ("message", "told"),
    [
        ('Cannot open "/srv/data store/a.db": gone', "Cannot open <path>: gone"),
        ("unable to open /srv/a.db", "unable to open <path>"),
        ("C:\\data\\a.db is away", "<path> is away"),
        ("at postgresql://u:p@host/db now", "at <address> now"),
        ("Password=abc;Server=x", "Password=<*>;Server=x"),
        ("1/2 of a/b and/or c", "1/2 of a/b and/or c"),
        ("first\nsecond\n\nLINE 1: SELECT", "first second"),
    ],
)
def test_addresses_and_paths_stay_out(message: str, told: str) -> None:
    """What a driver said is told without where; ordinary slashes are left alone."""
    assert plain(message) == told


def test_long_messages_are_cut() -> None:
    """A message has at most 500 characters."""
    assert len(plain("word " * 1_000)) == 500


def test_every_payload_has_its_handler() -> None:
    """The table of handlers and the list of payloads name the same kinds and versions."""
    assert {(payload.KIND, payload.VERSION) for payload in PayloadRegistry(PAYLOADS)} == set(
        HANDLERS
    )


def test_a_kind_is_handled_once() -> None:
    """Two handlers for one kind and version are a mistake, said at once."""
    (first, *_) = HANDLERS.values()
    with pytest.raises(ValueError, match="two handlers"):
        handler_table((first.payload, first.run), (first.payload, first.run))
