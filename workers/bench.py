"""The workbench of an attempt: the typed payload, inputs proven by digest, a scratch folder."""

import functools

from pydantic import ValidationError

from contracts.envelope import Envelope
from contracts.outcome import FaultKind
from contracts.payload import marked_values
from fleet.artifacts.errors import ArtifactFault
from fleet.sources import SourceUnknown, addresses
from workers.input_files import input_files
from workers.site import Site
from workers.stages.handler import Signals, StageFault, Workbench
from workers.stages.scratch import Scratch

SHELVES = ".inputs"
"""In the scratch folder: where inputs are listed that are too many to be held."""


class NoSignals:
    """Stands in until the runner knows where the handler runs; and where nobody listens."""

    def cancelled(self) -> bool:
        return False

    def progress(self, done: int, total: int | None = None, note: str = "") -> None:
        """Nobody listens."""


NO_SIGNALS: Signals = NoSignals()


def names_sources(envelope: Envelope, site: Site) -> bool:
    """Whether addresses of sources have to be looked up. Raises UnknownKind."""
    model = site.registry.find(envelope.kind, envelope.version)
    return bool(marked_values(model, envelope.body.payload, "source"))


def reads_files(envelope: Envelope, site: Site) -> bool:
    """Whether laying out the bench takes more than its payload. Raises UnknownKind."""
    body = envelope.body
    return bool(body.files or any(body.inputs.values()) or names_sources(envelope, site))


def laid_out(envelope: Envelope, scratch: Scratch, site: Site) -> Workbench:
    """The workbench of an envelope. Blocking: it reads every input to prove its digest.

    Raises StageFault for a payload that does not fit its model, a source that is not registered
    here, and an artifact that is missing or damaged.
    """
    model = site.registry.find(envelope.kind, envelope.version)
    try:
        payload = model.model_validate(envelope.body.payload)
        named = marked_values(model, envelope.body.payload, "source")
        return Workbench(
            payload=payload,
            inputs={
                stage: input_files(
                    pointers, functools.partial(scratch.place, SHELVES, stage), site.store
                )
                for stage, pointers in envelope.body.inputs.items()
            },
            files={name: site.store.local_path(p) for name, p in envelope.body.files.items()},
            sources=addresses(site.sources_file, named),
            scope=envelope.scope,
            folder=scratch,
            signals=NO_SIGNALS,
        )
    except ValidationError as faults:
        where = "; ".join(
            f"{'.'.join(str(step) for step in fault['loc'])}: {fault['msg']}"
            for fault in faults.errors(include_url=False, include_input=False)[:5]
        )
        raise StageFault(FaultKind.PERMANENT, "payload.invalid", where) from None
    except SourceUnknown as fault:
        raise StageFault(FaultKind.PERMANENT, "source.unknown", str(fault)) from None
    except ArtifactFault as fault:
        raise StageFault(FaultKind.PERMANENT, "artifact.unusable", str(fault)) from None
