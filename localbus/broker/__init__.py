"""What a namespace holds and what happens to it, with the time as an argument and no sockets.

`namespace` knows the entities, `queue` is one queue with its dead-letter queue, `mailbox` is one
ordered store of messages with its locks, `message` is one message as the broker sees it.
Rows are kept by `localbus.store`; who may be told about them before they are on disk is decided by
the caller, who commits.
"""
