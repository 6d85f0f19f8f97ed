"""Refused messages: set aside for people to look at, or dropped where they hold a secret.

A dead-letter queue keeps a message until somebody drops it, and shows it to whoever may look. A
secret is not to lie there; the ledger has the reason either way.
"""

from contracts.envelope import WireMessage
from fleet.bus.receiver import Delivery
from fleet.telemetry.redact import secret_places
from policies.reading.text import json_unescaped

DROPPED = "it holds what looks like a secret, and was dropped"


def holds_secret(message: WireMessage) -> bool:
    """Whether any part of a message looks like a secret: ids, properties, body."""
    about = message.model_dump(mode="json", exclude={"body"})
    body = message.body.decode("utf-8", "replace")
    return any(True for text in (about, body, json_unescaped(body)) for _ in secret_places(text))


def told_of(message: WireMessage, description: str) -> str:
    """What the ledger keeps of a refusal: that it was dropped comes first, for words are cut."""
    return f"{DROPPED}; {description}" if holds_secret(message) else description


async def refuse(delivery: Delivery, reason: str, description: str) -> None:
    """Settle what can never be taken, once the ledger has noted it. Raises SettleFailed."""
    if holds_secret(delivery.message):
        await delivery.complete()
    else:
        await delivery.dead_letter(reason, description)
