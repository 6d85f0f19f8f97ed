"""Fingerprints of faults."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from contracts.fingerprint import LENGTH, fingerprint, normalised


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("row 17 of 200 has no client", "row 9 of 4711 has no client"),
        ("no column 'amount' in \"claims\"", "no column 'sum' in \"policies\""),
        ("client C-001 is not known", "client C-2044 is not known"),
        ("timed out at 2026-03-01T08:00:00+00:00", "timed out at 2027-11-30T23:59:01.5+00:00"),
        (
            "run 01KB5V9C2M8Z0000000000000A is gone",
            "run 01KB5V9C2M8Z1111111111111B is gone",
        ),
        ("clients C-001, C-002 and more", "clients C-7, C-8, C-9, C-10 and more"),
        ("cannot reach http://source:1433/x", "cannot reach https://other/y?z=1"),
        ("expected  3\nrows", "expected 4 rows"),
    ],
)
def test_what_differs_from_task_to_task_is_folded(one: str, other: str) -> None:
    """Numbers, ids, quoted values, times, addresses, the length of a listing."""
    assert fingerprint("source.odd", one) == fingerprint("source.odd", other)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (("source.gone", "it is gone"), ("source.odd", "it is gone")),
        (("source.odd", "no such table"), ("source.odd", "no such column")),
        (("source.odd", "can't open the client's file"), ("source.odd", "can't read it")),
    ],
)
def test_another_cause_is_another_group(one: tuple[str, str], other: tuple[str, str]) -> None:
    """The code tells, and so do the words; an apostrophe quotes nothing."""
    assert fingerprint(*one) != fingerprint(*other)


def test_a_fingerprint_never_changes() -> None:
    """It is stored: groups of last year's ledger are this year's groups."""
    assert fingerprint("source.gone", "table 'claims' is not there") == "18c55359c137"


@given(st.text())
def test_folding_twice_folds_no_more(message: str) -> None:
    """What is folded is left alone, whatever the message."""
    assert normalised(normalised(message)) == normalised(message)


@given(st.text(), st.text())
def test_any_fault_has_a_fingerprint(code: str, message: str) -> None:
    """Also one with half a character in it."""
    assert len(fingerprint(code, message + "\ud800")) == LENGTH
