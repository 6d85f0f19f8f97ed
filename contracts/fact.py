"""The base of every contract type: frozen, keyword-only, valid once constructed."""

from pydantic import BaseModel, ConfigDict, JsonValue

JsonObject = dict[str, JsonValue]


class Fact(BaseModel):
    """A value that cannot change and cannot be half-built.

    Unknown fields are ignored, so that an older reader survives a newer writer's defaulted field.
    """

    model_config = ConfigDict(frozen=True, extra="ignore")


class StrictFact(Fact):
    """A fact that people write by hand: an unknown field is a typing error and is refused."""

    model_config = ConfigDict(frozen=True, extra="forbid")
