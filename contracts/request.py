"""A request for a run: what upstream systems send, over HTTP or the intake queue."""

import json
from datetime import UTC, datetime
from typing import Annotated, Self

from pydantic import AwareDatetime, Field, StringConstraints, field_validator, model_validator

from contracts.artifact import Scope
from contracts.fact import StrictFact

PipelineName = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9_]{0,59}$")]
Parameter = str | int | bool | None
Requester = Annotated[str, StringConstraints(pattern=r"^[^\x00-\x1f\x7f<>]{1,120}$")]

REQUEST_TYPE = "leaf.run.request.v1"
"""The CloudEvents type of a request on the intake queue."""


class RunRequest(StrictFact):
    """One run, please. The same `key` of the same tenant asks for the same run, however often."""

    pipeline: PipelineName
    parameters: dict[str, Parameter] = Field(default={}, max_length=100)
    scope: Scope
    requester: Requester
    key: Annotated[str, StringConstraints(pattern=r"^[\x21-\x7e]{1,128}$")] | None = None
    """Idempotency key; absent means a new run each time."""
    priority: int = Field(default=5, ge=0, le=9)
    flags: tuple[str, ...] = ()
    """Operator flags: explicit permissions, e.g. `mutate`."""
    deadline: AwareDatetime | None = None
    """When the run is no longer of use."""
    start_at: AwareDatetime | None = None
    """No task of the run starts earlier. The run is taken on, and can be cancelled, at once."""

    @field_validator("parameters", "flags")
    @classmethod
    def _can_be_written(cls, value: object) -> object:
        """JSON can spell half a character (a lone surrogate), which no file or database takes."""
        try:
            json.dumps(value, ensure_ascii=False).encode()
        except UnicodeEncodeError:
            raise ValueError("holds half a character: a lone surrogate") from None
        return value

    @field_validator("deadline", "start_at")
    @classmethod
    def _is_a_time_in_utc(cls, value: datetime | None) -> datetime | None:
        try:
            return None if value is None else value.astimezone(UTC)
        except OverflowError:
            raise ValueError("is out of range") from None

    @model_validator(mode="after")
    def _starts_before_its_deadline(self) -> Self:
        if self.start_at and self.deadline and self.start_at >= self.deadline:
            raise ValueError("start_at must be earlier than the deadline")
        return self


class RunAccepted(StrictFact):
    """The answer: which run, and whether this request started it."""

    run: str
    created: bool
    state: str
    submitted: datetime
