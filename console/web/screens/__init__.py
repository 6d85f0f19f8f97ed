"""The screens, one module each."""

from console.web.screens import (
    approvals,
    artifacts,
    audit,
    cluster,
    dead_letters,
    lanes,
    overview,
    policies,
    run,
    runs,
    schedules,
    task,
    workers,
)

SERVED = (
    overview.serve,
    runs.serve,
    run.serve,
    task.serve,
    lanes.serve,
    workers.serve,
    cluster.serve,
    dead_letters.serve,
    approvals.serve,
    schedules.serve,
    artifacts.serve,
    policies.serve,
    audit.serve,
)
