"""validate.rules: a table held against named rules; good rows go on, bad rows are split off.

The rules file:

    keys: [claim_id, line]            # columns that name a row; they come first in the outputs
    rules:
      - name: paid_is_known
        severity: error               # error: the row is split off; warning: counted; hard: fails
        message: The amount paid is missing or not a number.
        check: paid_cents IS NOT NULL # per row; not true breaks the rule; windows are allowed
      - name: one_client
        severity: hard
        message: Rows of another client came along.
        rows: SELECT ... FROM candidates  # instead of check: what breaks it (warning or hard)

Outputs: `accepted.parquet` (silver), `rejected.parquet` (evidence: the bad rows and `broken`, the
names of their rules) and `rules.json` (evidence: counts per rule). When a hard rule is broken
nothing is accepted: the stage fails with `rule.broken`, the counts and the rows as evidence.
The table is called `candidates` in both; parameters are bound as `$name`.
"""

import json
from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import Field, JsonValue, StringConstraints, model_validator

from contracts.artifact import Tier
from contracts.fact import StrictFact
from contracts.outcome import Failed, Fault, FaultKind, Output, Produced
from contracts.stage_payloads import ValidateRules
from workers.stages import duck, parquet
from workers.stages.determinism import require_deterministic
from workers.stages.handler import StageFault, Workbench
from workers.stages.reading import payload_of, pipeline_model
from workers.stages.sql_tables import refuse_agents_words
from workers.stages.views import enclosed_inputs


class Rule(StrictFact):
    """One promise about the rows."""

    name: Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9_]{0,59}$")]
    severity: Literal["error", "warning", "hard"]
    message: str
    check: str | None = None
    rows: str | None = None

    @model_validator(mode="after")
    def _says_one_thing(self) -> Self:
        if (self.check is None) == (self.rows is None):
            raise ValueError(f"rule {self.name!r} needs either check or rows")
        if self.rows is not None and self.severity == "error":
            raise ValueError(f"rule {self.name!r}: rows of a query cannot be split off; use check")
        return self


class Rules(StrictFact):
    """A rules file."""

    keys: tuple[str, ...] = Field(min_length=1)
    rules: tuple[Rule, ...] = Field(min_length=1)

    @model_validator(mode="after")
    def _names_are_single(self) -> Self:
        names = [rule.name for rule in self.rules]
        if len(names) != len(set(names)):
            raise ValueError("two rules have the same name")
        return self


def validate_rules(bench: Workbench) -> Produced | Failed:
    """Split the table. Raises StageFault (rules.refused, sql.*, input.*)."""
    payload = payload_of(bench, ValidateRules)
    refuse_agents_words(bench)
    rules = pipeline_model(bench, payload.rules, Rules, "rules.refused")
    limits = {"memory_mb": payload.memory_mb, "threads": payload.threads}
    with enclosed_inputs(bench, **limits) as connection:
        _check(connection, payload, rules)
        bench.signals.progress(1, 2, "rows checked")
        broken = _broken_rows(connection, rules)
        evidence = _broken_sets(connection, bench, payload, rules, broken)
        accepted = _split(connection, bench, rules, good=True)
        rejected = _split(connection, bench, rules, good=False)
    report = _report(bench, rules, broken, accepted, rejected)
    hard = [rule for rule in rules.rules if rule.severity == "hard" and broken[rule.name]]
    if hard:
        fault = Fault(
            kind=FaultKind.BAD_INPUT,
            code="rule.broken",
            message="; ".join(f"{rule.name}: {rule.message}" for rule in hard),
            facts={rule.name: broken[rule.name] for rule in hard},
        )
        return Failed(fault=fault, evidence=(rejected, report, *evidence))
    facts: dict[str, JsonValue] = {"accepted": accepted.rows, "rejected": rejected.rows}
    facts |= {name: count for name, count in broken.items() if count}
    return Produced(outputs=(accepted, rejected, report, *evidence), facts=facts)


def _check(connection: duck.Connection, payload: ValidateRules, rules: Rules) -> None:
    """The table `checked`: every candidate, and for every rule whether the row keeps it."""
    connection.execute(
        f"CREATE VIEW candidates AS SELECT * FROM {duck.identifier(payload.table)}"  # noqa: S608 - quoted
    )
    verdicts: list[str] = []
    names: list[str] = []
    for rule in rules.rules:
        if rule.check is not None:
            where = f"{payload.rules} ({rule.name})"
            alone = f"SELECT (\n{rule.check}\n) FROM candidates"  # noqa: S608 - the pipeline's own SQL
            tree = require_deterministic(connection, alone, where)
            # A fragment that closes the parenthesis could add columns or tables of its own.
            if len(tree["statements"][0]["node"].get("select_list", ())) != 1:
                raise StageFault(
                    FaultKind.PERMANENT, "rules.refused", f"{where}: check is not one expression"
                )
            verdicts.append(f"coalesce((\n{rule.check}\n), false) AS {_verdict(rule)}")
            if rule.severity != "warning":
                names.append(f"CASE WHEN NOT {_verdict(rule)} THEN '{rule.name}' END")
    sql = f"SELECT *, {', '.join(verdicts) or 'true AS __ok'} FROM candidates"  # noqa: S608 - the pipeline's own SQL
    words = f"concat_ws(', ', {', '.join(names) or 'NULL'})"
    sql = f"CREATE TABLE checked AS SELECT *, {words} AS broken FROM (\n{sql}\n)"  # noqa: S608 - as above
    connection.execute(sql, duck.bound(connection, sql, payload.parameters))


def _verdict(rule: Rule) -> str:
    return duck.identifier(f"__{rule.name}")


def _broken_rows(connection: duck.Connection, rules: Rules) -> dict[str, int]:
    """How many rows break each rule, in the order of the file; 0 yet for rules about sets."""
    counts = ", ".join(
        "0" if rule.check is None else f"count(*) FILTER (NOT {_verdict(rule)})"
        for rule in rules.rules
    )
    _, rows = duck.rows_of(connection, f"SELECT {counts} FROM checked")  # noqa: S608 - rule names are words
    return {rule.name: int(count) for rule, count in zip(rules.rules, rows[0], strict=True)}


def _broken_sets(
    connection: duck.Connection,
    bench: Workbench,
    payload: ValidateRules,
    rules: Rules,
    broken: dict[str, int],
) -> list[Output]:
    """Run the rules about sets; counts go into `broken`, the rows are evidence."""
    evidence: list[Output] = []
    for rule in rules.rules:
        if rule.rows is not None:
            where = f"{payload.rules} ({rule.name})"
            require_deterministic(connection, rule.rows, where)
            path = bench.scratch / f"broken_{rule.name}.parquet"
            rows = duck.write_table(connection, rule.rows, payload.parameters, path, where)
            broken[rule.name] = rows
            if rows:
                evidence.append(_table(path, Tier.EVIDENCE, rows))
    return evidence


def _split(connection: duck.Connection, bench: Workbench, rules: Rules, *, good: bool) -> Output:
    keys = ", ".join(duck.identifier(key) for key in rules.keys)
    hidden = [_verdict(rule) for rule in rules.rules if rule.check is not None] or ["__ok"]
    hidden += [duck.identifier(key) for key in rules.keys]
    hidden += ["broken"] if good else []
    sql = (
        f"SELECT {keys}, * EXCLUDE ({', '.join(hidden)}) FROM checked "  # noqa: S608 - quoted above
        f"WHERE (broken = '') = {str(good).lower()}"
    )
    path = bench.scratch / ("accepted.parquet" if good else "rejected.parquet")
    rows = duck.write_table(connection, sql, {}, path, path.name)
    return _table(path, Tier.SILVER if good else Tier.EVIDENCE, rows)


def _table(path: Path, tier: Tier, rows: int) -> Output:
    return Output(name=path.name, path=path, media_type=parquet.MEDIA_TYPE, tier=tier, rows=rows)


def _report(bench: Workbench, rules: Rules, broken: dict[str, int], *split: Output) -> Output:
    report = {
        **{output.name.removesuffix(".parquet"): output.rows for output in split},
        "rules": [
            {
                "name": rule.name,
                "severity": rule.severity,
                "message": rule.message,
                "broken": broken[rule.name],
            }
            for rule in rules.rules
        ],
    }
    path = bench.scratch / "rules.json"
    path.write_text(json.dumps(report, indent=1) + "\n", encoding="utf-8")
    return Output(name=path.name, path=path, media_type="application/json", tier=Tier.EVIDENCE)
