"""The settings of queues, topics and subscriptions, with the service's defaults and bounds.

Source: Azure Service Bus quotas, and QueueDescription of its management API.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, fields
from typing import Any, Self

MAX_LOCK_MS = 5 * 60 * 1000
UNBOUNDED_MS = 922_337_203_685_477
""".NET's TimeSpan.MaxValue: how the service writes "never"."""


_FIXED = {
    "requires_session": "RequiresSession",
    "detect_duplicates": "RequiresDuplicateDetection",
    "partitioning": "EnablePartitioning",
}


class InvalidProperties(ValueError):
    """An entity cannot have these settings. Nothing was created."""


@dataclass(frozen=True, slots=True, kw_only=True)
class QueueProperties:
    """A queue's settings. Durations are milliseconds, sizes bytes unless named otherwise."""

    lock_duration_ms: int = 60_000
    max_delivery_count: int = 10
    default_ttl_ms: int = UNBOUNDED_MS
    dead_letter_on_expiry: bool = False
    detect_duplicates: bool = False
    duplicate_window_ms: int = 10 * 60 * 1000
    max_message_kilobytes: int = 256
    max_size_megabytes: int = 1024
    status: str = "Active"
    user_metadata: str = ""
    auto_delete_on_idle_ms: int = UNBOUNDED_MS
    batched_operations: bool = True
    express: bool = False
    partitioning: bool = False
    requires_session: bool = False
    forward_to: str = ""
    forward_dead_letters_to: str = ""

    def __post_init__(self) -> None:
        problems = [
            words
            for wrong, words in (
                (not 1 <= self.lock_duration_ms <= MAX_LOCK_MS, "LockDuration is above 5 minutes"),
                (self.max_delivery_count < 1, "MaxDeliveryCount is below 1"),
                (self.default_ttl_ms < 1, "DefaultMessageTimeToLive is not positive"),
                (self.duplicate_window_ms < 1, "the duplicate window is not positive"),
                (not 1 <= self.max_message_kilobytes <= 102_400, "MaxMessageSizeInKilobytes"),
                (
                    self.requires_session and bool(self.forward_to),
                    "RequiresSession and ForwardTo: messages in sessions are not forwarded",
                ),
                (len(self.user_metadata) > 1024, "UserMetadata is above 1024 characters"),
                (self.auto_delete_on_idle_ms < 300_000, "AutoDeleteOnIdle is below 5 minutes"),
                (
                    self.status not in {"Active", "Disabled", "SendDisabled", "ReceiveDisabled"},
                    f"Status {self.status!r}",
                ),
            )
            if wrong
        ]
        if problems:
            raise InvalidProperties("; ".join(problems))

    @property
    def max_message_bytes(self) -> int:
        return self.max_message_kilobytes * 1024

    @property
    def accepts_sends(self) -> bool:
        return self.status in {"Active", "ReceiveDisabled"}

    @property
    def accepts_receives(self) -> bool:
        return self.status in {"Active", "SendDisabled"}

    def follow(self, before: QueueProperties) -> None:
        """Raises InvalidProperties when a queue cannot go from `before` to these settings."""
        for name, words in _FIXED.items():
            if getattr(self, name) != getattr(before, name):
                raise InvalidProperties(
                    f"The value for the {words} property of an existing entity cannot be changed."
                )

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> Self:
        """Read what `as_dict` wrote; settings this version does not know are left out."""
        known = {field.name for field in fields(cls)}
        return cls(**{name: value for name, value in values.items() if name in known})


@dataclass(frozen=True, slots=True, kw_only=True)
class SubscriptionProperties(QueueProperties):
    """A subscription's settings: those of the queue it is, and what becomes of messages its rules
    cannot judge. Sizes and duplicates are its topic's affair."""

    dead_letter_on_filter_errors: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class TopicProperties(QueueProperties):
    """A topic's settings. Of a queue's, those about delivering have no meaning here."""

    support_ordering: bool = True
    filter_before_publishing: bool = False
