"""The demo's claims database: pharmacy claim lines of a year, the same on every machine.

Lines come from one stream of pseudo-random bits, so a seed names the whole database. While lines
are made, the sums of the good ones are kept in plain integers: the truth that a legacy export is
made from, found without any of the fleet's SQL. A few lines of every client are bad in ways that
validation must split off; they are in no sum.
"""

import random
import sqlite3
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import date, timedelta
from itertools import islice
from pathlib import Path

YEAR = 2025
CHANNELS = {"R": "retail", "M": "mail", "S": "specialty"}
DRUG_CLASSES = {"B": "brand", "G": "generic"}

_TABLE = """
CREATE TABLE claim_lines (
    claim_id TEXT NOT NULL,
    line INTEGER NOT NULL,
    client TEXT NOT NULL,
    filled_on TEXT NOT NULL,
    ndc TEXT,
    channel TEXT,
    drug_type TEXT,
    quantity TEXT,
    awp TEXT,
    ingredient_cost TEXT,
    dispensing_fee TEXT,
    rebate TEXT
)
"""
_INSERT = "INSERT INTO claim_lines VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"
_DRUGS = 512
_BATCH = 20_000

Row = tuple[str, int, str, str, str, str, str, str, str, str, str, str]
Segment = tuple[str, str]
"""Channel and drug class, in the contract's words."""


@dataclass(slots=True)
class Sums:
    """What the good lines of one segment add up to, in cents."""

    claims: int = 0
    awp: int = 0
    ingredient: int = 0
    fee: int = 0
    rebate: int = 0


@dataclass(frozen=True, slots=True)
class Terms:
    """What a contract guarantees for one segment: basis points, and cents a claim."""

    discount: int
    fee: int
    rebate: int


@dataclass(slots=True)
class Client:
    """A client: its contract's terms and what its good lines add up to."""

    name: str
    terms: dict[Segment, Terms]
    sums: dict[Segment, Sums] = field(default_factory=dict)
    bad_lines: int = 0


@dataclass(frozen=True, slots=True)
class Drug:
    """A product: its code, `B` or `G`, and the average wholesale price of a unit in cents."""

    ndc: str
    drug_type: str
    unit_awp: int


def write_claims(path: Path, clients: list[Client], lines: int, rng: random.Random) -> None:
    """Make the database at `path` with `lines` lines in all, and fill in the clients' sums."""
    connection = sqlite3.connect(path)
    try:
        # The file is made at one go and can be made again: no journal is needed.
        connection.execute("PRAGMA journal_mode = OFF")
        connection.execute("PRAGMA synchronous = OFF")
        connection.execute(_TABLE)
        rows = claim_lines(clients, lines, rng)
        while batch := list(islice(rows, _BATCH)):
            connection.executemany(_INSERT, batch)
        connection.execute("CREATE INDEX claim_lines_by_client ON claim_lines (client, filled_on)")
        connection.commit()
    finally:
        connection.close()


def claim_lines(clients: list[Client], lines: int, rng: random.Random) -> Iterator[Row]:
    """`lines` lines in all, client by client; the clients' sums are whole once all were taken."""
    drugs = [_drug(rng) for _ in range(_DRUGS)]
    for number, client in enumerate(clients):
        share = lines * (number + 1) // len(clients) - lines * number // len(clients)
        yield from _client_lines(client, number, share, drugs, rng)


def _drug(rng: random.Random) -> Drug:
    bits = rng.getrandbits(64)
    brand = bits % 10 < 3
    ndc = f"{(bits >> 8) % 10**11:011}"
    unit_awp = 400 + (bits >> 48) % 2_600 if brand else 20 + (bits >> 48) % 400
    return Drug(ndc=ndc, drug_type="B" if brand else "G", unit_awp=unit_awp)


def _client_lines(
    client: Client, number: int, share: int, drugs: list[Drug], rng: random.Random
) -> Iterator[Row]:
    days = [(date(YEAR, 1, 1) + timedelta(days=day)).isoformat() for day in range(365)]
    client.sums = {segment: Sums() for segment in client.terms}
    bad = {(place + 1) * share // (len(_BAD) + 1): kind for place, kind in enumerate(_BAD)}
    channels = "RRRRRRRRRRRMMMSS"
    # How the year went against each guarantee: some are met, some are missed.
    drift = {segment: rng.getrandbits(16) % 260 - 150 for segment in client.terms}
    previous: Row | None = None
    for place in range(share):
        bits = rng.getrandbits(96)
        drug = drugs[bits % _DRUGS]
        code = channels[(bits >> 9) & 15]
        segment = (CHANNELS[code], DRUG_CLASSES[drug.drug_type])
        terms = client.terms[segment]
        quantity = (30, 30, 60, 90)[(bits >> 13) & 3] * (3 if code == "S" else 1)
        awp = drug.unit_awp * quantity
        discount = terms.discount + drift[segment] + (bits >> 16) % 401 - 200
        ingredient = (awp * (10_000 - discount) + 5_000) // 10_000
        fee = terms.fee + drift[segment] // 12 + (bits >> 26) % 21 - 10
        rebate = 0
        if drug.drug_type == "B":
            rebate = terms.rebate + drift[segment] * 8 + (bits >> 32) % 2_001 - 1_000
        row = (
            f"C{number + 1:03}{place // 2:07}",
            place % 2 + 1,
            client.name,
            days[(bits >> 44) % 365],
            drug.ndc,
            code,
            drug.drug_type,
            f"{quantity}.000",
            cents(awp),
            cents(ingredient),
            cents(fee),
            cents(rebate),
        )
        kind = bad.get(place)
        if kind is not None and previous is not None:
            client.bad_lines += 1
            yield _spoilt(row, kind, previous)
            continue
        sums = client.sums[segment]
        sums.claims += 1
        sums.awp += awp
        sums.ingredient += ingredient
        sums.fee += fee
        sums.rebate += rebate
        previous = row
        yield row


_BAD = ("channel", "awp", "negative", "date", "repeat", "ndc", "text", "class")


def _spoilt(row: Row, kind: str, previous: Row) -> Row:
    """The line with one thing wrong that validation must notice."""
    if kind == "repeat":
        return previous
    wrong = {
        "channel": (5, "X"),
        "awp": (8, ""),
        "negative": (9, f"-{row[9]}"),
        "date": (3, f"{YEAR}-02-30"),
        "ndc": (4, row[4][:7]),
        "text": (9, "N/A"),
        "class": (6, "?"),
    }
    place, value = wrong[kind]
    cells: list[str | int] = list(row)
    cells[place] = value
    return tuple(cells)  # type: ignore[return-value]  # same cells, one of the texts replaced


def cents(amount: int) -> str:
    """Cents as decimal text: `-12.05`."""
    whole, rest = divmod(abs(amount), 100)
    return f"{'-' if amount < 0 else ''}{whole}.{rest:02}"
