"""Reading from the workbench: the payload as its class, the pipeline's files, sources' addresses.

Each failure to read is a StageFault that names what was missing, never where it was looked for.
"""

from pathlib import Path
from typing import Any, TypeVar

import yaml
from pydantic import BaseModel, ValidationError

from contracts.outcome import FaultKind
from contracts.payload import Payload
from workers.stages.faults import plain
from workers.stages.handler import StageFault, Workbench

PayloadT = TypeVar("PayloadT", bound=Payload)
ModelT = TypeVar("ModelT", bound=BaseModel)


def payload_of(bench: Workbench, kind: type[PayloadT]) -> PayloadT:
    """The payload. Raises TypeError when the handler table pairs the wrong class with a handler."""
    if not isinstance(bench.payload, kind):
        raise TypeError(f"{kind.__name__} is needed, not {type(bench.payload).__name__}")
    return bench.payload


def pipeline_text(bench: Workbench, file: str) -> str:
    """The text of a pipeline's file. Raises StageFault (input.missing, input.unreadable)."""
    try:
        return bench.files[file].read_text(encoding="utf-8")
    except KeyError:
        raise StageFault(
            FaultKind.PERMANENT, "input.missing", f"{file} did not come with the task"
        ) from None
    except (OSError, UnicodeDecodeError) as error:
        raise StageFault(
            FaultKind.PERMANENT, "input.unreadable", f"{file}: {plain(error)}"
        ) from None


def pipeline_model(bench: Workbench, file: str, model: type[ModelT], code: str) -> ModelT:
    """A YAML file of the pipeline as `model`. Raises StageFault with `code` and every problem."""
    try:
        content: Any = yaml.safe_load(pipeline_text(bench, file))
        return model.model_validate(content)
    except yaml.YAMLError as error:
        raise StageFault(FaultKind.PERMANENT, code, f"{file}: {plain(error)}") from None
    except ValidationError as error:
        problems = "; ".join(
            f"{'.'.join(map(str, problem['loc']))}: {problem['msg']}" for problem in error.errors()
        )
        raise StageFault(FaultKind.PERMANENT, code, f"{file}: {plain(problems)}") from None


def address_of(bench: Workbench, source: str) -> str:
    """A source's address: secret. Raises StageFault (source.unknown)."""
    try:
        return bench.sources[source]
    except KeyError:
        raise StageFault(
            FaultKind.PERMANENT, "source.unknown", f"no source {source!r} is registered here"
        ) from None


def folder_of(address: str) -> Path | None:
    """The folder that an address names; None for a database's URL."""
    return None if "://" in address else Path(address)
