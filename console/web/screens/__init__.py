"""The screens, one module each."""

from console.web.screens import overview, run, runs, task

SERVED = (overview.serve, runs.serve, run.serve, task.serve)
