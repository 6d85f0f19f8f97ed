"""The names of spans and of their attributes.

OpenTelemetry's messaging conventions (1.38, in development) where they have a name, `leaf.` where
they have none. In one module, because the conventions still change.
"""

from typing import Literal

from contracts.fact import JsonObject

SYSTEM = "messaging.system"
OPERATION = "messaging.operation.name"
OPERATION_TYPE = "messaging.operation.type"
DESTINATION = "messaging.destination.name"
MESSAGE_ID = "messaging.message.id"
CONVERSATION_ID = "messaging.message.conversation_id"
BATCH_COUNT = "messaging.batch.message_count"
DELIVERY_COUNT = "messaging.servicebus.message.delivery_count"

ERROR_TYPE = "error.type"
EXCEPTION_TYPE = "exception.type"
EXCEPTION_MESSAGE = "exception.message"
SERVICE = "service.name"

RUN = "leaf.run"
TASK = "leaf.task"
STAGE = "leaf.stage"
PARTITION = "leaf.partition"
LANE = "leaf.lane"
STATE = "leaf.state"
ATTEMPT = "leaf.attempt"
DELIVERY = "leaf.delivery"
DECLINED = "leaf.declined"
LEASE_LOST = "leaf.lease.lost"
OUTCOME = "leaf.outcome"
RULES = "leaf.decision.rules"
ARTIFACTS = "leaf.artifact.digests"
LOGS = "leaf.logs"
LOGS_LEFT_OUT = "leaf.logs.left_out"
LINES = "log lines"
"""Name of a row that is no span: what one that went on had logged so far."""

Operation = Literal["send", "receive", "process", "settle"]


def span_name(operation: Operation, queue: str) -> str:
    """`process lane-mirror`: the operation, then where."""
    return f"{operation} {queue}"


def messaging(operation: Operation, queue: str) -> JsonObject:
    """The attributes that every span about a queue has."""
    return {
        SYSTEM: "servicebus",
        OPERATION: operation,
        OPERATION_TYPE: operation,
        DESTINATION: queue,
    }
