"""Hostile bytes of earlier runs, and new ones from hypothesis, crash nothing."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from localbus.amqp import performatives as p
from localbus.amqp.frames import frame
from localbus.amqp.types import Described, Symbol, Uint, Ulong
from tests.localbus.fuzz.targets import ConnectionTarget, codec_target

CORPUS = Path(__file__).parents[1] / "corpus"


def corpus(name: str) -> list[Path]:
    return sorted(path for path in (CORPUS / name).iterdir() if path.is_file())


@pytest.fixture(scope="module")
def connection() -> Iterator[ConnectionTarget]:
    target = ConnectionTarget()
    yield target
    target.close()


def test_the_codecs_corpus_is_refused_or_read() -> None:
    """Every input the fuzzer kept is refused as such, or survives a round trip."""
    for path in corpus("codec"):
        codec_target(path.read_bytes())


def test_the_connections_corpus_harms_nothing(connection: ConnectionTarget) -> None:
    """Every stream the fuzzer kept ends its own connection at most."""
    for path in corpus("connection"):
        connection(path.read_bytes())


values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(0, 255).map(Uint)
    | st.integers(-(2**63), 2**63 - 1)
    | st.binary(max_size=8)
    | st.sampled_from(["q", "s", "q/$management", "$cbs", "q/$deadletterqueue"])
    | st.sampled_from(["com.microsoft:session-filter", "amqp:accepted:list"]).map(Symbol),
    lambda inner: (
        st.lists(inner, max_size=6)
        | st.dictionaries(st.sampled_from(["operation", "n"]), inner, max_size=2)
        | st.tuples(st.integers(0x10, 0x78), inner).map(lambda it: Described(Ulong(it[0]), it[1]))
    ),
    max_leaves=8,
)
termini = st.sampled_from(["q", "s", "q/$management", "$cbs", "q/$deadletterqueue", "?"])
handles, ids = st.integers(0, 9), st.none() | st.integers(0, 9)
counters = st.none() | st.integers(0, 2**32 - 1)
frames = st.one_of(
    st.tuples(
        *(handles, st.booleans(), st.sampled_from([0, 1, 2]), termini, termini),
        st.none() | st.dictionaries(st.text(max_size=3), values, max_size=2),
    ).map(lambda it: _attach(*it)),
    st.tuples(
        *(ids, counters.filter(lambda n: n is not None), handles, handles, ids),
        *(counters, counters, st.none(), st.booleans(), st.booleans()),
    ).map(lambda it: p.Flow(*it)),
    st.tuples(
        *(handles, ids, st.binary(max_size=4), st.sampled_from([0, 0x80013700])),
        *(st.booleans(), st.booleans()),
    ).map(lambda it: p.Transfer(*it)),
    st.tuples(
        *(st.booleans(), st.integers(0x4000_0000, 0x4000_0004)),
        *(st.none() | st.just(0xFFFF_FFFF), st.booleans()),
        st.tuples(st.integers(0x23, 0x27), st.lists(values, max_size=3)).map(
            lambda it: Described(Ulong(it[0]), it[1])
        ),
    ).map(lambda it: p.Disposition(*it)),
    st.tuples(handles, st.booleans()).map(lambda it: p.Detach(*it)),
    st.just(p.End()),
)


def _attach(
    handle: int, role: bool, mode: int, source: str, target: str, facts: dict[Any, Any] | None
) -> p.Attach:
    termini = (_at(0x28, source), _at(0x29, target))
    return p.Attach(f"l{handle}", handle, role, mode, 1, *termini, properties=facts)


def _at(code: int, address: str) -> Described:
    return Described(Ulong(code), [address])


@settings(max_examples=300, deadline=None)
@given(
    moves=st.lists(st.tuples(frames, st.binary(max_size=40)), max_size=12), cut=st.integers(0, 127)
)
def test_any_order_of_frames_harms_nothing(
    connection: ConnectionTarget, moves: list[tuple[p.Performative, bytes]], cut: int
) -> None:
    """Well-formed frames in any order, with any payload, end their own connection at most."""
    stream = b"".join(frame(0, p.render(performative) + payload) for performative, payload in moves)

    connection(bytes([0x80 | cut]) + stream)


@given(st.binary(max_size=200))
def test_any_bytes_are_refused_or_read(data: bytes) -> None:
    """Whatever the bytes are, the codec refuses them or reads what it can write."""
    codec_target(data)
