"""The demo's legacy BI export: the right figures of every guarantee, with known mistakes planted.

Every mistake is one that such exports make: a guarantee forgotten, a line twice, last year's rate,
a hand-typed shortfall. What was planted is returned, so that a run can be held against it.
"""

import csv
import io
import random
from collections.abc import Callable
from dataclasses import dataclass, replace

from console.demo.claims import CHANNELS, DRUG_CLASSES, Client, Segment, Sums, Terms, cents

HEADER = (
    "CHANNEL",
    "BRAND_GENERIC",
    "MEASURE",
    "CLAIM_CNT",
    "CONTRACT_RATE",
    "ACTUAL_AMT",
    "GUARANTEED_AMT",
    "SHORTFALL_AMT",
)
_MEASURES = {"awp_discount": "AWP DISC", "dispensing_fee": "DISP FEE", "rebate": "REBATE"}
_CHANNEL_CODES = {name: code for code, name in CHANNELS.items()} | {"long_term_care": "L"}
_CLASS_CODES = {name: name.upper() for name in DRUG_CLASSES.values()}


@dataclass(frozen=True, slots=True)
class Planted:
    """A mistake in the export. `key` is `channel/drug_class/measure`; values are text as shown."""

    kind: str
    key: str
    recomputed: str
    legacy: str


@dataclass(frozen=True, slots=True)
class Line:
    """A guarantee's figures. `rate` is in basis points or in cents a claim; money in cents."""

    channel: str
    drug_class: str
    measure: str
    claims: int
    rate: int
    actual: int
    guaranteed: int
    shortfall: int

    @property
    def key(self) -> str:
        return f"{self.channel}/{self.drug_class}/{self.measure}"

    @property
    def shown_rate(self) -> str:
        return f"{cents(self.rate)} %" if self.measure == "awp_discount" else cents(self.rate)


def lines_of(client: Client) -> list[Line]:
    """The right figures, computed from the client's sums in plain integers."""
    lines: list[Line] = []
    for segment, terms in client.terms.items():
        sums = client.sums[segment]
        lines.append(_line(segment, "awp_discount", sums, terms.discount))
        lines.append(_line(segment, "dispensing_fee", sums, terms.fee))
        if segment[1] == "brand":
            lines.append(_line(segment, "rebate", sums, terms.rebate))
    return lines


def _line(segment: Segment, measure: str, sums: Sums, rate: int) -> Line:
    if measure == "awp_discount":
        # Half a cent rounds up, as everywhere in the report.
        guaranteed = (sums.awp * (10_000 - rate) + 5_000) // 10_000
        actual, shortfall = sums.ingredient, max(0, sums.ingredient - guaranteed)
    elif measure == "dispensing_fee":
        guaranteed = sums.claims * rate
        actual, shortfall = sums.fee, max(0, sums.fee - guaranteed)
    else:
        guaranteed = sums.claims * rate
        actual, shortfall = sums.rebate, max(0, guaranteed - sums.rebate)
    return Line(
        channel=segment[0],
        drug_class=segment[1],
        measure=measure,
        claims=sums.claims,
        rate=rate,
        actual=actual,
        guaranteed=guaranteed,
        shortfall=shortfall,
    )


def export_with_mistakes(client: Client, rng: random.Random) -> tuple[str, list[Planted]]:
    """The export as CSV text, and the mistakes planted in it: each kind once, on its own line."""
    right = lines_of(client)
    free = list(range(len(right)))
    lines: list[list[Line]] = [[line] for line in right]
    planted: list[Planted] = []
    for plant, measures in _PLANTS:
        choices = [place for place in free if right[place].measure in measures]
        place = choices[rng.getrandbits(16) % len(choices)]
        free.remove(place)
        lines[place], mistake = plant(right[place], client)
        planted.append(mistake)
    stray = replace(right[0], channel="long_term_care", claims=12, shortfall=4_200)
    lines.append([stray])
    planted.append(Planted("unknown_row", stray.key, "", "42.00"))
    return _csv([line for group in lines for line in group]), planted


def _missing_row(line: Line, _: Client) -> tuple[list[Line], Planted]:
    return [], Planted("missing_row", line.key, cents(line.shortfall), "")


def _duplicated_row(line: Line, _: Client) -> tuple[list[Line], Planted]:
    return [line, line], Planted("duplicated_row", line.key, "1", "2")


def _wrong_shortfall(line: Line, _: Client) -> tuple[list[Line], Planted]:
    wrong = replace(line, shortfall=line.shortfall + 123_456)
    return [wrong], Planted(
        "wrong_shortfall", line.key, cents(line.shortfall), cents(wrong.shortfall)
    )


def _wrong_rebate(line: Line, _: Client) -> tuple[list[Line], Planted]:
    wrong = replace(line, shortfall=line.shortfall + 77_700)
    return [wrong], Planted("wrong_rebate", line.key, cents(line.shortfall), cents(wrong.shortfall))


def _stale_rate(line: Line, client: Client) -> tuple[list[Line], Planted]:
    """Last year's rate, with everything that follows from it computed rightly."""
    segment = (line.channel, line.drug_class)
    terms: Terms = client.terms[segment]
    stale = _line(segment, line.measure, client.sums[segment], terms.discount - 50)
    return [stale], Planted("stale_rate", line.key, line.shown_rate, stale.shown_rate)


def _wrong_claims(line: Line, _: Client) -> tuple[list[Line], Planted]:
    wrong = replace(line, claims=line.claims + 17)
    return [wrong], Planted("wrong_claims", line.key, str(line.claims), str(wrong.claims))


def _wrong_actual(line: Line, _: Client) -> tuple[list[Line], Planted]:
    wrong = replace(line, actual=line.actual - 5_001)
    return [wrong], Planted("wrong_actual", line.key, cents(line.actual), cents(wrong.actual))


_Plant = Callable[[Line, Client], tuple[list[Line], Planted]]
_PLANTS: tuple[tuple[_Plant, frozenset[str]], ...] = (
    (_stale_rate, frozenset({"awp_discount"})),
    (_wrong_shortfall, frozenset({"awp_discount"})),
    (_wrong_rebate, frozenset({"rebate"})),
    (_missing_row, frozenset({"awp_discount", "dispensing_fee", "rebate"})),
    (_duplicated_row, frozenset({"dispensing_fee"})),
    (_wrong_claims, frozenset({"dispensing_fee"})),
    (_wrong_actual, frozenset({"dispensing_fee", "rebate"})),
)


def _csv(lines: list[Line]) -> str:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(HEADER)
    for line in lines:
        writer.writerow(
            (
                _CHANNEL_CODES[line.channel],
                _CLASS_CODES[line.drug_class],
                _MEASURES[line.measure],
                line.claims,
                cents(line.rate),
                cents(line.actual),
                cents(line.guaranteed),
                cents(line.shortfall),
            )
        )
    return text.getvalue()
