"""Claim check: a body over the limit travels as a digest, and its bytes lie in the artifact store.

The message carries the CloudEvents extension `dataref` (CloudEvents 1.0, documented extensions)
instead of its body. Reading verifies the digest, so a forged reference reads nothing but itself.
"""

import re

from pydantic import ValidationError

from contracts.artifact import ArtifactPointer, Scope, Tier
from contracts.envelope import CONTENT_TYPE, MalformedEnvelope, WireMessage, attributes_of
from fleet.artifacts.errors import ArtifactFault
from fleet.artifacts.store import ArtifactStore

INLINE_LIMIT = 64 * 1024
"""Bytes of a body that still travel in the message."""
CHECKED_LIMIT = 64 * 1024 * 1024
"""Bytes of the largest body that is read back."""

_DATAREF = frozenset({"cloudEvents:dataref", "cloudEvents_dataref"})
_REFERENCE = re.compile(r"^artifact:evidence/[0-9a-f]{2}/([0-9a-f]{64})$")


def checked_in(message: WireMessage, store: ArtifactStore) -> WireMessage:
    """The message as it travels: itself, or with its body left in the store."""
    if len(message.body) <= INLINE_LIMIT:
        return message
    stored = store.put_bytes(Tier.EVIDENCE, message.body)
    reference: dict[str, str | int | bool] = {
        "cloudEvents:dataref": f"artifact:{Tier.EVIDENCE}/{stored.digest[:2]}/{stored.digest}",
        "cloudEvents:leafdatasize": stored.size,
    }
    return message.model_copy(update={"body": b"", "properties": message.properties | reference})


def has_reference(message: WireMessage) -> bool:
    """Whether the body lies in the store."""
    return not _DATAREF.isdisjoint(message.properties)


def checked_out(message: WireMessage, store: ArtifactStore) -> WireMessage:
    """The message with its body. Raises MalformedEnvelope where it cannot be had."""
    if not has_reference(message):
        if len(message.body) > INLINE_LIMIT:
            raise MalformedEnvelope(
                f"the body has {len(message.body)} bytes, over the {INLINE_LIMIT} that may travel "
                "in a message: put it into the artifact store and send its dataref"
            )
        return message
    attributes = attributes_of(message.properties)
    if (match := _REFERENCE.match(str(attributes["dataref"]))) is None:
        raise MalformedEnvelope("cloudEvents:dataref does not name an artifact of this fleet")
    try:
        pointer = ArtifactPointer(
            name="body.json",
            digest=match[1],
            size=attributes.get("leafdatasize", -1),
            media_type=CONTENT_TYPE,
            tier=Tier.EVIDENCE,
            scope=Scope(tenant=attributes.get("leaftenant", "")),
        )
    except ValidationError:
        raise MalformedEnvelope(
            "cloudEvents:dataref comes without leafdatasize or leaftenant"
        ) from None
    if pointer.size > CHECKED_LIMIT:
        raise MalformedEnvelope(f"the body has {pointer.size} bytes, over {CHECKED_LIMIT}")
    try:
        body = store.local_path(pointer).read_bytes()
    except ArtifactFault as cause:
        raise MalformedEnvelope(f"the body behind cloudEvents:dataref: {cause}") from None
    return message.model_copy(update={"body": body})
