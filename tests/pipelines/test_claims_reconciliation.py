"""claims_reconciliation on claims that nobody here wrote, and on a ledger made by hand."""

import json
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
from pypdf import PdfReader

from tests.pipelines.conftest import Elsewhere, shared
from tests.pipelines.harness import Finished, StageFailed, run_pipeline, workbook_at

CLAIMS = """Id,PRIMARYPATIENTINSURANCEID,SERVICEDATE,STATUS1,OUTSTANDING1,OUTSTANDING2,OUTSTANDINGP
c1,p1,2025-01-10T08:00:00Z,CLOSED,0,,0
c2,p1,2025-01-10T08:00:00Z,BILLED,10.01,,0
c3,0,2024-10-01T23:30:00Z,CLOSED,0,,0
c4,gone,2025-01-01T00:00:00Z,CLOSED,0,,0
c5,p1,2025-01-31T00:00:00Z,CLOSED,0,,0
"""
LEDGER = """ID,CLAIMID,TYPE,AMOUNT,METHOD,FROMDATE,TODATE,PAYMENTS,ADJUSTMENTS,TRANSFERS
t1,c1,CHARGE,100.10,,2025-01-10T08:00:00Z,,,,
t2,c1,PAYMENT,,CHECK,2025-01-20T08:00:00Z,,90.05,,
t3,c1,PAYMENT,,COPAY,2025-01-20T08:00:00Z,,10.00,0.05,
t4,c2,CHARGE,10.01,,2025-01-10T08:00:00Z,,,,
t5,c3,CHARGE,0.01,,2024-10-01T23:30:00Z,,,,
t6,c3,PAYMENT,,COPAY,2024-10-01T23:30:00Z,,25.00,,
t7,c4,PAYMENT,,CASH,2025-01-31T00:00:00Z,,5.00,,
t7,c4,PAYMENT,,CASH,2025-01-31T00:00:00Z,,5.00,,
t8,c4,REFUND,1.00,,2025-01-31T00:00:00Z,,,,
"""


# Enough ordinary transactions that one of an unknown type is an exception.
ORDINARY = "".join(
    f"o{number},c5,CHARGE,0.07,,2025-01-31T00:00:00Z,,,,\n"
    f"q{number},c5,PAYMENT,,CHECK,2025-01-31T00:00:00Z,,0.07,,\n"
    for number in range(10)
)


def by_hand(folder: Path, ledger: str = LEDGER + ORDINARY, **parameters: str) -> Finished:
    """The reconciliation of a ledger: the one above, unless another is given."""
    source = folder / "source"
    source.mkdir(parents=True)
    (source / "claims.csv").write_text(CLAIMS, encoding="utf-8")
    (source / "claims_transactions.csv").write_text(ledger, encoding="utf-8")
    (source / "payers.csv").write_text("Id,NAME\np1,Payer One\n", encoding="utf-8")
    return run_pipeline(
        "claims_reconciliation",
        {"source": "ledger", **parameters},
        {"ledger": str(source)},
        folder / "run",
    )


def rows(finished: Finished, stage: str, name: str) -> list[dict[str, Any]]:
    """The rows of a table."""
    found: list[dict[str, Any]] = pq.read_table(finished.path(stage, name)).to_pylist()
    return found


def test_totals_are_true_to_the_cent(tmp_path: Path) -> None:
    """On Synthea's ledger the totals are the known truths, and every unequal claim is named."""
    finished = run_pipeline(
        "claims_reconciliation", {"source": "synthea"}, {"synthea": shared("synthea")}, tmp_path
    )

    (totals,) = rows(finished, "totals", "totals.parquet")
    assert (totals["charges"], totals["charged_cents"]) == (1_545, 109_240_273)
    assert (totals["payments"], totals["paid_cents"]) == (1_843, 110_350_395)
    packet = json.loads(finished.path("packet", "reconciliation.json").read_text())
    (named,) = (table for table in packet["tables"] if table["name"] == "unreconciled")
    assert len(named["rows"]) == totals["unreconciled"] == 190
    balance = [column["name"] for column in named["columns"]].index("balance_cents")
    assert sum(row[balance] for row in named["rows"]) == 109_240_273 - 110_350_395
    book = workbook_at(finished.path("workbook", "claims_reconciliation.xlsx"))
    assert book["Summary"]["C7"].value == 1_092_402.73
    text = PdfReader(finished.path("pdf", "claims_reconciliation.pdf")).pages[0].extract_text()
    assert "1,103,503.95" in text


def test_payers_and_ages_add_up(tmp_path: Path) -> None:
    """By payer and by age the same balance comes out as in all."""
    finished = run_pipeline(
        "claims_reconciliation",
        {"source": "synthea"},
        {"synthea": shared("synthea")},
        tmp_path,
        until="totals",
    )

    (totals,) = rows(finished, "totals", "totals.parquet")
    for name in ("by_payer.parquet", "aging.parquet", "findings.parquet"):
        assert (
            sum(row["balance_cents"] for row in rows(finished, "totals", name))
            == (totals["balance_cents"])
        )


def test_each_claim_is_named_for_what_is_wrong_with_it(tmp_path: Path) -> None:
    """Adjustments count, a copay above the charge is told from other overpayment, and a claim
    paid but never charged from one charged but never paid."""
    finished = by_hand(tmp_path)

    found = {
        row["claim_id"]: (row["finding"], row["balance_cents"], row["payer"], row["age_days"])
        for row in rows(finished, "reconciled", "claims.parquet")
    }
    assert found == {
        "c1": ("reconciles", 0, "Payer One", 21),
        "c2": ("charged, never paid", 1_001, "Payer One", 21),
        "c3": ("copay above charge", -2_499, "No insurance", 122),
        "c4": ("paid, never charged", -500, "Unknown payer", 30),
        "c5": ("reconciles", 0, "Payer One", 0),
    }
    (totals,) = rows(finished, "totals", "totals.parquet")
    assert totals["split_off"] == 2  # the transaction that came twice, and the refund


def test_a_ledger_that_is_mostly_strange_is_not_reconciled(tmp_path: Path) -> None:
    """When more than one transaction in twenty is of an unknown type, the run fails and says so."""
    strange = LEDGER.replace("CHARGE", "INVOICE")

    with pytest.raises(StageFailed) as raised:
        by_hand(tmp_path, ledger=strange)

    assert raised.value.failed.fault.code == "rule.broken"
    assert "of a type that is not known" in raised.value.failed.fault.message


def test_ages_are_counted_to_the_day_asked_for(tmp_path: Path) -> None:
    """The clock is a parameter: another day, other ages, and nothing else."""
    finished = by_hand(tmp_path, as_of="2025-06-30")

    ages = [row["age_days"] for row in rows(finished, "reconciled", "claims.parquet")]
    assert ages == [171, 171, 272, 180, 150]


def test_the_reconciliation_is_the_same_everywhere(tmp_path: Path, elsewhere: Elsewhere) -> None:
    """Other folder, other time zone, two threads: every artifact has the same bytes."""
    here = by_hand(tmp_path / "here").digests()

    there = elsewhere(
        "claims_reconciliation",
        "America/St_Johns",
        parameters={"source": "ledger"},
        sources={"ledger": str(tmp_path / "here" / "source")},
        overrides={"threads": 2},
    )

    assert there == here
