"""The rules in force over HTTP: which they are, and what is wrong with files that are not."""

from typing import Annotated

from fastapi import Depends, FastAPI, Request

from contracts.fact import Fact
from dispatcher.intake import Intake
from fleet.telemetry.redact import redacted


class PolicyInForce(Fact):
    """The dispatcher's rules."""

    generation: int
    """The version of bundle.toml."""
    bundle: str
    """Digest of the rules."""
    refused: tuple[str, ...]
    """Why the files as they are now are not in force; empty while they are."""


def _intake(request: Request) -> Intake:
    intake: Intake = request.app.state.site.intake
    return intake


def serve_policy(app: FastAPI) -> None:
    """Add the operation to `app`."""

    @app.get(
        "/v1/policy",
        tags=["policy"],
        operation_id="get_policy",
        summary="The rules that this dispatcher decides by, and faults of changed ones",
    )
    def policy(intake: Annotated[Intake, Depends(_intake)]) -> PolicyInForce:
        gate = intake.gate
        return PolicyInForce(
            generation=gate.generation,
            bundle=gate.bundle.digest,
            refused=tuple(redacted(fault) for fault in gate.refused),
        )
