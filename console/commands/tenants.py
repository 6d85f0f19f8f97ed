"""`fleet tenants`: what tenants use of their allowances."""

from typing import TYPE_CHECKING

import typer

from console.commands.options import Json
from console.session import session_of

if TYPE_CHECKING:
    from pathlib import Path

    from fleet.ledger.tenants import TenantRow
    from policies.limits import Limits


def tenants(context: typer.Context, as_json: Json = False) -> None:
    """Show what each tenant uses of its allowance, and how many of its runs wait for room.

    Allowances are in bundle.toml, beside the rules. Of today, in UTC, a run counts for what it
    reserved, and once it has ended for what it used.

    With --json, one object a line: `tenant`, `runs_in_flight`, `held_runs`, `tasks_today`,
    `compute_seconds_today`, and `allowance` with `runs_in_flight`, `tasks_per_day`,
    `compute_seconds_per_day` and `compute_seconds_a_run`, or null where nothing limits it.

    \b
    Examples:
      fleet tenants
      fleet tenants --json
    """
    import json

    from console import output
    from console.render.tenants import tenants_table
    from fleet.clock import SystemClock

    site = session_of(context).site()
    limits = _limits(site.settings.rules)
    with site.reader() as reader:
        rows = _with_named(reader.tenants(SystemClock().now()), limits)
    if as_json:
        for row in rows:
            allowance = limits.allowance(row.tenant)
            told = None if allowance is None else allowance.model_dump(mode="json")
            output.answer(json.dumps({**row.model_dump(mode="json"), "allowance": told}))
    elif rows:
        output.stdout().print(tenants_table(rows, limits))
    else:
        output.say(
            "no tenant has an allowance; bundle.toml, beside the rules, says how to give one"
        )


def _limits(rules: "Path") -> "Limits":
    from console.errors import Refused
    from policies.bundle import LIMITS_FILE
    from policies.limits import limits_of

    try:
        return limits_of((rules / LIMITS_FILE).read_text(encoding="utf-8"))
    except (OSError, ValueError) as fault:
        raise Refused(f"{LIMITS_FILE} cannot be used: {fault}") from None


def _with_named(rows: "list[TenantRow]", limits: "Limits") -> "list[TenantRow]":
    """With the tenants that have an allowance and have not used it yet."""
    from fleet.ledger.tenants import TenantRow

    unused = TenantRow(
        tenant="", runs_in_flight=0, held_runs=0, tasks_today=0, compute_seconds_today=0.0
    )
    known = {row.tenant for row in rows}
    rows += [
        unused.model_copy(update={"tenant": tenant})
        for tenant in limits.allowances
        if tenant != "*" and tenant not in known
    ]
    return sorted(rows, key=lambda row: row.tenant)
