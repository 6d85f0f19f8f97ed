"""docs/reference/settings.md, made from the settings: `python -m fleet.settings_page`.

What a setting means is the text below its field in fleet/settings.py; a test holds the page to it.
"""

import ast
import inspect
import os
import sys
from pathlib import Path

from pydantic.fields import FieldInfo

import fleet
from fleet.settings import Settings

_ROOT = Path(fleet.__file__).parents[1]
PAGE = _ROOT / "docs" / "reference" / "settings.md"
"""Only in a checkout; an installed package carries no docs."""
_HEAD = """\
# Settings

Written by `python -m fleet.settings_page` from `fleet/settings.py`.

Each setting is an environment variable. All are read once, when a process starts, and checked
together: a process that cannot use them says every fault at once and exits with 2. A `FLEET_`
variable that is none of these is a fault too, so that a slip of the pen is not silently ignored.

`fleet config` shows what is in force and where each value comes from: an option, the environment,
the running stack, or the default. Secrets are masked there.

| variable | default | meaning |
|---|---|---|
"""
_TAIL = """
Traces go to the ledger, where `fleet task` finds them. Where OpenTelemetry's own
`OTEL_EXPORTER_OTLP_ENDPOINT` (or `OTEL_EXPORTER_OTLP_TRACES_ENDPOINT`) is set, they go there
instead, over HTTP, and metrics too. Where `APPLICATIONINSIGHTS_CONNECTION_STRING` is set, traces,
metrics and log lines go to Azure Monitor. Signing in without keys reads what AKS sets for a pod:
`AZURE_CLIENT_ID`, `AZURE_TENANT_ID`, `AZURE_FEDERATED_TOKEN_FILE`, `AZURE_AUTHORITY_HOST`.
"""


def settings_page() -> str:
    """The text of docs/reference/settings.md."""
    meanings = _meanings()
    rows = [
        f"| `FLEET_{name.upper()}` | {_default(field)} | {meanings.get(name, '')} |\n"
        for name, field in Settings.model_fields.items()
    ]
    return "".join([_HEAD, *rows, _TAIL])


def _meanings() -> dict[str, str]:
    """By field, the text that stands below it in the source."""
    (model,) = ast.parse(inspect.getsource(Settings)).body
    assert isinstance(model, ast.ClassDef)
    return {
        field.target.id: " ".join(text.value.value.split()).replace("|", "\\|")
        for field, text in zip(model.body, model.body[1:], strict=False)
        if isinstance(field, ast.AnnAssign)
        and isinstance(field.target, ast.Name)
        and isinstance(text, ast.Expr)
        and isinstance(text.value, ast.Constant)
        and isinstance(text.value.value, str)
    }


def _default(field: FieldInfo) -> str:
    value = field.default
    if value is None:
        return "none"
    if isinstance(value, tuple):
        return os.pathsep.join(_default_of(item) for item in value)
    return _default_of(value)


def _default_of(value: object) -> str:
    """A place in the package is told from its root: the rest is one machine's."""
    if isinstance(value, Path) and value.is_relative_to(_ROOT):
        value = value.relative_to(_ROOT).as_posix()
    return f"`{value}`"


if __name__ == "__main__":
    PAGE.write_text(settings_page(), encoding="utf-8", newline="\n")
    sys.stdout.write(f"{PAGE.name} written\n")
