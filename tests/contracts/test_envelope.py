"""Envelopes travel whole, and what is not an envelope is refused in plain words."""

import json
from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

import contracts
from contracts.artifact import ArtifactPointer, Audience, Scope, Tier
from contracts.envelope import Envelope, MalformedEnvelope, TaskBody, WireMessage, decoded, encoded
from contracts.request import REQUEST_TYPE, RunRequest

SAMPLES = sorted((Path(contracts.__file__).parent / "samples").glob("*.json"))

_words = st.text(st.characters(codec="utf-8", exclude_categories=["C"]), min_size=1, max_size=20)
_moments = st.datetimes(datetime(2000, 1, 1), datetime(2100, 1, 1), timezones=st.just(UTC))  # noqa: DTZ001 - hypothesis wants naive bounds
_pointers = st.builds(
    ArtifactPointer,
    name=st.just("rows.parquet"),
    digest=st.text("0123456789abcdef", min_size=64, max_size=64),
    size=st.integers(0, 2**50),
    media_type=st.just("application/vnd.apache.parquet"),
    rows=st.none() | st.integers(0, 2**40),
    tier=st.sampled_from(Tier),
    scope=st.just(Scope(tenant="acme")),
    taints=st.sampled_from([(), ("ai",)]),
)
_envelopes = st.builds(
    Envelope,
    run=_words,
    task=_words,
    stage=st.from_regex(r"[a-z][a-z0-9_]{0,9}", fullmatch=True),
    partition=st.just("") | _words,
    kind=st.from_regex(r"[a-z]{1,8}\.[a-z]{1,8}", fullmatch=True),
    version=st.integers(1, 9999),
    lane=_words,
    attempt=st.integers(1, 1000),
    pipeline=_words,
    scope=st.builds(Scope, tenant=st.just("acme"), audience=st.sampled_from(Audience)),
    requester=_words,
    created=_moments,
    deadline=_moments,
    priority=st.integers(0, 9),
    flags=st.sampled_from([(), ("mutate",), ("a", "b")]),
    generation=st.integers(0, 1000),
    again=st.none() | st.integers(0, 10**12),
    isolated=st.booleans(),
    traceparent=st.none() | st.just("00-" + "1" * 32 + "-" + "2" * 16 + "-01"),
    body=st.builds(
        TaskBody,
        payload=st.dictionaries(_words, _words | st.integers(-(2**53), 2**53) | st.booleans()),
        inputs=st.dictionaries(_words, st.tuples(_pointers), max_size=2),
        files=st.dictionaries(_words, _pointers, max_size=2),
    ),
)


@given(_envelopes)
def test_an_envelope_comes_back_as_it_was_sent(envelope: Envelope) -> None:
    """Encoding then decoding is the identity."""
    message = encoded(envelope)

    assert decoded(message) == envelope


@given(_envelopes)
def test_the_other_prefix_of_the_binding_is_read_too(envelope: Envelope) -> None:
    """`cloudEvents_`, for clients whose property names cannot hold a colon."""
    message = encoded(envelope)
    renamed = {k.replace("cloudEvents:", "cloudEvents_"): v for k, v in message.properties.items()}

    assert decoded(message.model_copy(update={"properties": renamed})) == envelope


@pytest.mark.parametrize("sample", SAMPLES, ids=lambda path: path.stem)
def test_every_stored_message_still_decodes(sample: Path) -> None:
    """A sample of every version of every message, kept since it was first sent."""
    stored = json.loads(sample.read_text(encoding="utf-8"))
    message = WireMessage(
        message_id=stored["message_id"],
        properties=stored["properties"],
        body=json.dumps(stored["body"]).encode(),
    )

    if stored["properties"]["cloudEvents:type"] == REQUEST_TYPE:
        assert RunRequest.model_validate_json(message.body).pipeline == stored["body"]["pipeline"]
    else:
        assert decoded(message).run == stored["properties"]["cloudEvents:leafrun"]


def test_there_is_a_sample_of_every_message() -> None:
    """A new kind or version is not sent before a sample of it is kept."""
    from contracts.payload import PayloadRegistry
    from contracts.stage_payloads import PAYLOADS

    kept = {json.loads(path.read_text())["properties"]["cloudEvents:type"] for path in SAMPLES}
    sent = {f"leaf.task.{p.KIND}.v{p.VERSION}" for p in PayloadRegistry(PAYLOADS)}

    assert sent | {REQUEST_TYPE} <= kept


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"cloudEvents:specversion": None}, "specversion"),
        ({"cloudEvents:type": "something.else"}, "cloudEvents:type"),
        ({"cloudEvents:id": None}, "cloudEvents:id is missing"),
        ({"cloudEvents:subject": None}, "cloudEvents:subject is missing"),
        ({"cloudEvents:id": "t:many"}, "<task>:<attempt>"),
        ({"cloudEvents:leaftenant": "../../etc"}, "tenant"),
        ({"cloudEvents:leafdeadline": "tomorrow"}, "deadline"),
    ],
)
def test_a_malformed_message_is_refused_with_the_reason(
    change: dict[str, str | None], reason: str
) -> None:
    """The reason names what is wrong and repeats no value that a peer chose."""
    message = _a_message()
    properties = {k: v for k, v in (message.properties | change).items() if v is not None}

    with pytest.raises(MalformedEnvelope, match=reason) as refused:
        decoded(message.model_copy(update={"properties": properties}))

    assert "etc" not in str(refused.value)


def test_a_message_of_no_run_is_refused() -> None:
    """The run is the correlation id; an attribute told it before."""
    with pytest.raises(MalformedEnvelope, match="the run is missing"):
        decoded(_a_message().model_copy(update={"correlation_id": None}))


@pytest.mark.parametrize("body", [b"", b"\xff\xfe", b"[1,2]", b"{", b"[" * 100_000])
def test_a_body_that_is_no_task_is_refused(body: bytes) -> None:
    """Also one that is nested deeply enough to exhaust a parser."""
    with pytest.raises(MalformedEnvelope):
        decoded(_a_message().model_copy(update={"body": body}))


def _a_message() -> WireMessage:
    moment = datetime(2026, 1, 1, tzinfo=UTC)
    return encoded(
        Envelope(
            run="r",
            task="t",
            stage="claims",
            kind="mirror.sql",
            version=1,
            lane="mirror",
            attempt=1,
            pipeline="guarantee_report",
            scope=Scope(tenant="acme"),
            requester="ada@example.com",
            created=moment,
            deadline=moment,
            body=TaskBody(payload={}),
        )
    )
