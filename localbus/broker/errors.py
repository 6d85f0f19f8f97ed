"""What the broker refuses, in the words of the service.

BrokerError
├── EntityNotFound     no such queue
├── EntityExists       created twice
├── LockLost           the lock is over: settle nothing
├── SessionLockLost    the session is held no more: settle nothing in it
├── SessionCannotBeLocked  somebody else holds the session
├── MessageNotFound    no message with this sequence number can be had
├── MessageTooLarge    above the queue's limit
├── EntityDisabled     the queue's status forbids it
├── NotAllowed         this entity does not do that
└── Unauthorized       no token on this connection opens it

Each has the AMQP condition the service sends and the HTTP-like status its management uses.
"""

from __future__ import annotations


class BrokerError(Exception):
    """A request that was refused; nothing has changed."""

    condition = "amqp:internal-error"
    status = 500


class EntityNotFound(BrokerError):
    condition = "amqp:not-found"
    status = 404

    def __init__(self, path: str) -> None:
        super().__init__(f"The messaging entity '{path}' could not be found.")


class EntityExists(BrokerError):
    condition = "com.microsoft:entity-already-exists"
    status = 409

    def __init__(self, path: str) -> None:
        super().__init__(f"The messaging entity '{path}' already exists.")


class LockLost(BrokerError):
    condition = "com.microsoft:message-lock-lost"
    status = 410

    def __init__(self) -> None:
        super().__init__(
            "The lock supplied is invalid. Either the lock expired, or the message has already "
            "been removed from the queue."
        )


class SessionLockLost(BrokerError):
    condition = "com.microsoft:session-lock-lost"
    status = 410

    def __init__(self, session_id: str) -> None:
        super().__init__(
            f"The session lock has expired on the session '{session_id}'. Accept a new session."
        )


class SessionCannotBeLocked(BrokerError):
    condition = "com.microsoft:session-cannot-be-locked"
    status = 410

    def __init__(self, session_id: str) -> None:
        super().__init__(
            f"The requested session '{session_id}' cannot be accepted. "
            "It may be locked by another receiver."
        )


class MessageNotFound(BrokerError):
    condition = "com.microsoft:message-not-found"
    status = 404

    def __init__(self, sequence_number: int) -> None:
        super().__init__(f"No message with sequence number {sequence_number} is available.")


class MessageTooLarge(BrokerError):
    condition = "amqp:link:message-size-exceeded"
    status = 413

    def __init__(self, size: int, limit: int) -> None:
        super().__init__(f"A message of {size} bytes is above the limit of {limit} bytes.")


class EntityDisabled(BrokerError):
    condition = "com.microsoft:entity-disabled"
    status = 403

    def __init__(self, path: str, status: str) -> None:
        super().__init__(f"The messaging entity '{path}' is {status}.")


class Unauthorized(BrokerError):
    condition = "amqp:unauthorized-access"
    status = 401

    def __init__(self, path: str) -> None:
        super().__init__(f"Unauthorized access. A valid token for '{path}' is required.")


class NotAllowed(BrokerError):
    condition = "amqp:not-allowed"
    status = 400
