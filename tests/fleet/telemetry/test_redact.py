"""Redaction: what must not be recorded is taken out, and the rest stays as it was."""

import io
import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import JsonValue

from fleet.telemetry.output import RedactedOutput
from fleet.telemetry.redact import redacted, redacted_values, secret_places
from tests.policies.secrets import HARMLESS, PLANTED, core_of


@pytest.mark.parametrize("name", PLANTED)
def test_a_secret_is_replaced_by_its_kind(name: str) -> None:
    """The end of the secret is gone with its beginning, and the text around it stays."""
    kind, secret = PLANTED[name]

    told = redacted(f"the copy of ( {secret} ) was refused")

    assert f"[{kind}]" in told
    assert told.startswith("the copy of ( ")
    assert told.endswith(" ) was refused")
    assert core_of(name) not in told


@pytest.mark.parametrize("text", HARMLESS)
def test_ordinary_text_stays(text: str) -> None:
    """Ids, digests, addresses and prose are not touched."""
    assert redacted(text) == text


def test_this_machine_is_not_named() -> None:
    """The folder of the process is taken out wherever it lies."""
    assert redacted(f"in {Path.cwd()}/ledger.db.") == "in [local_path]"
    assert redacted(f"in {Path.cwd()}: broken") == "in [local_path]: broken"


def test_a_private_key_goes_whole() -> None:
    """Not only its first line."""
    key = (
        "-----BEGIN "
        + "PRIVATE KEY-----\nMIIEvQIBADANBg\nkqhkiG9w0BAQ\n-----END "
        + "PRIVATE KEY-----"
    )

    assert redacted(f"key {key} read") == "key [private_key] read"


def test_long_text_is_cut() -> None:
    """A hostile value does not fill the log."""
    assert len(redacted("x" * 1_000_000)) < 10_000


def test_values_keep_their_types() -> None:
    """Numbers and truth stay what they are; lists are looked through."""
    secret = PLANTED["github"][1]
    values = {"n": 1, "f": 0.5, "b": True, "none": None, "l": ["a", secret, 2], "other": os.sep}

    assert redacted_values(values) == {
        "n": 1,
        "f": 0.5,
        "b": True,
        "none": None,
        "l": ["a", "[token]", 2],
        "other": os.sep,
    }


@given(
    before=st.text(max_size=30), name=st.sampled_from(sorted(PLANTED)), after=st.text(max_size=30)
)
def test_redacting_again_changes_nothing(before: str, name: str, after: str) -> None:
    """What is redacted holds nothing more to redact."""
    once = redacted(f"{before} {PLANTED[name][1]} {after}")

    assert redacted(once) == once


@pytest.mark.parametrize("name", PLANTED)
def test_a_secret_is_found_wherever_it_stands_in_a_json_value(name: str) -> None:
    """In a list, in a member or in its name; a place on a machine opens nothing, and is none."""
    kind, secret = PLANTED[name]
    value: JsonValue = {"a": [1, {"b": f"see {secret} "}], f"c {secret} ": None}

    found = list(secret_places(value))

    if kind == "local_path":
        assert found == []
    else:
        assert [where for where, _ in found][:1] == ["a.1.b"]
        assert len(found) == 2
        assert core_of(name) not in str(found)


def test_what_is_printed_is_redacted_line_by_line() -> None:
    """Also where a line comes in pieces, and where it never ends."""
    target = io.StringIO()
    output = RedactedOutput(target)
    secret = "ghp_" + "a1" * 20

    for piece in ("first\nhalf ", secret[:10], secret[10:], "\nlast ", secret):
        output.write(piece)
    output.flush()

    assert target.getvalue() == "first\nhalf [token]\nlast [token]"
