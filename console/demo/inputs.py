"""The demo's input: claims, contracts, requests and a legacy export, the same on every machine.

`make_inputs` writes below one folder and returns what the demo needs: sources to register, requests
to submit, and the mistakes planted in each client's export. `held_against` says which of them a
run's comparison packet named.
"""

import json
import random
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from console.demo.claims import CHANNELS, DRUG_CLASSES, YEAR, Client, Terms, cents, write_claims
from console.demo.legacy import Planted, export_with_mistakes

SEED = 20_250_101
PIPELINE = "guarantee_report"

_NAMES = (
    "alder-health",
    "birch-benefits",
    "cedar-city-schools",
    "dogwood-freight",
    "elm-county",
    "fir-manufacturing",
    "ginkgo-labs",
    "hawthorn-foods",
    "ironwood-energy",
    "juniper-retail",
    "katsura-transit",
    "laurel-hospitals",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class DemoInputs:
    """What was made. `requests` hold the fields of a run request, one a client."""

    sources: dict[str, str]
    """Address by source name, to be registered."""
    requests: list[dict[str, Any]]
    planted: dict[str, list[Planted]]
    """Mistakes by client."""
    lines: int
    bad_lines: dict[str, int]
    """Lines by client that validation must split off."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Held:
    """A comparison packet held against what was planted."""

    found: list[Planted]
    missed: list[Planted]
    unexpected: list[dict[str, Any]]
    """Discrepancies that were named and not planted."""


def make_inputs(
    folder: Path, *, clients: int = 12, lines: int = 200_000, seed: int = SEED
) -> DemoInputs:
    """Write claims.db and a folder of documents for each client below `folder`.

    What was there before is replaced. Two calls with the same arguments make the same content.
    """
    rng = random.Random(seed)  # noqa: S311 - the same input everywhere is the point
    folder.mkdir(parents=True, exist_ok=True)
    database = folder / "claims.db"
    database.unlink(missing_ok=True)
    everyone = [made_up_client(number, rng) for number in range(clients)]
    write_claims(database, everyone, lines, rng)
    planted: dict[str, list[Planted]] = {}
    for number, client in enumerate(everyone):
        documents = folder / "documents" / client.name
        documents.mkdir(parents=True, exist_ok=True)
        export, planted[client.name] = export_with_mistakes(client, rng)
        (documents / "legacy.csv").write_text(export, encoding="utf-8", newline="\n")
        _write_json(documents / "contract.json", _contract(client, number))
        _write_json(documents / "request.json", _request(client, number))
    return DemoInputs(
        sources={
            "claims": f"sqlite:///{database.resolve().as_posix()}",
            "documents": str((folder / "documents").resolve()),
        },
        requests=[
            {
                "pipeline": PIPELINE,
                "parameters": {"client": client.name},
                "scope": {"tenant": client.name, "audience": "tenant"},
                "requester": "salesforce",
                "key": f"demo-{seed}-{client.name}",
            }
            for client in everyone
        ],
        planted=planted,
        lines=lines,
        bad_lines={client.name: client.bad_lines for client in everyone},
    )


def held_against(packet: Mapping[str, Any], planted: Iterable[Planted]) -> Held:
    """Hold a comparison packet (parsed JSON) against the mistakes planted for its client.

    A mistake is found when its kind, its key and both values are named.
    """
    (table,) = (table for table in packet["tables"] if table["name"] == "discrepancies")
    names = [column["name"] for column in table["columns"]]
    rows = [dict(zip(names, row, strict=True)) for row in table["rows"]]
    named = {
        Planted(row["kind"], row["key"], row["recomputed"] or "", row["legacy"] or ""): row
        for row in rows
    }
    wanted = list(planted)
    return Held(
        found=[mistake for mistake in wanted if mistake in named],
        missed=[mistake for mistake in wanted if mistake not in named],
        unexpected=[row for mistake, row in named.items() if mistake not in wanted],
    )


def made_up_client(number: int, rng: random.Random) -> Client:
    """A client with terms by chance, and no lines yet."""
    return Client(name=client_name(number), terms=_terms(rng))


def client_name(number: int) -> str:
    """A tenant's name; the twelve names come again with a number."""
    name = _NAMES[number % len(_NAMES)]
    return name if number < len(_NAMES) else f"{name}-{number // len(_NAMES) + 1}"


def _terms(rng: random.Random) -> dict[tuple[str, str], Terms]:
    terms: dict[tuple[str, str], Terms] = {}
    for channel in CHANNELS.values():
        for drug_class in DRUG_CLASSES.values():
            bits = rng.getrandbits(48)
            brand = drug_class == "brand"
            terms[channel, drug_class] = Terms(
                discount=(1_600 if brand else 7_800) + bits % 12 * 25,
                fee=0 if channel == "mail" else 60 + (bits >> 8) % 9 * 5,
                rebate=(18_000 + (bits >> 16) % 20 * 500) if brand else 0,
            )
    # A fee of nothing leaves no room below it; mail is guaranteed a small one.
    return {
        segment: Terms(discount=item.discount, fee=item.fee or 25, rebate=item.rebate)
        for segment, item in terms.items()
    }


def _contract(client: Client, number: int) -> dict[str, Any]:
    guarantees: list[dict[str, str]] = []
    for (channel, drug_class), terms in client.terms.items():
        segment = {"channel": channel, "drug_class": drug_class}
        guarantees.append({**segment, "measure": "awp_discount", "rate": cents(terms.discount)})
        guarantees.append({**segment, "measure": "dispensing_fee", "rate": cents(terms.fee)})
        if drug_class == "brand":
            guarantees.append({**segment, "measure": "rebate", "rate": cents(terms.rebate)})
    return {
        "contract": f"PBM-{YEAR}-{number + 1:03}",
        "client": client.name,
        "effective_from": f"{YEAR}-01-01",
        "effective_to": f"{YEAR}-12-31",
        "guarantees": guarantees,
    }


def _request(client: Client, number: int) -> dict[str, Any]:
    return {
        "attributes": {"type": "Case"},
        "Id": f"500Hs0000{number + 1:06}IAA",
        "CaseNumber": f"{1_042_000 + number * 7:08}",
        "Subject": f"{YEAR} guarantee true-up for {client.name}",
        "Description": "Recompute the year's guarantees from claims and compare with the export.",
        "Priority": "High" if number % 3 == 0 else "Medium",
        "Origin": "Client Services",
        "CreatedDate": f"{YEAR + 1}-01-{number % 27 + 2:02}T14:05:00.000+0000",
        "Client__c": client.name,
        "Period_Start__c": f"{YEAR}-01-01",
        "Period_End__c": f"{YEAR}-12-31",
    }


def _write_json(path: Path, content: dict[str, Any]) -> None:
    path.write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8", newline="\n")
