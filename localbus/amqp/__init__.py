"""AMQP 1.0 without I/O: bytes in, events out; calls in, bytes out.

`codec` holds the type system, `frames` cuts a byte stream into frames, `performatives` names the
fields of each frame, `message` takes a message apart, and `connection` is the state machine of
connection, sessions and links. Nothing here opens a socket or reads a clock.
"""
