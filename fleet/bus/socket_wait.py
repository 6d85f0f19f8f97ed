"""How long the SDK looks at a socket before it looks up again."""

SOCKET_WAIT = 0.02
"""Seconds; given to senders and receivers of work, as the client's own is not handed on. Its
keep-alive of each reads its socket as well, every 5 seconds and for as long: what it reads, the
call that waits for it notices only when its own look is over, and who wants to write waits until
it ends. The default is 0.1 or 0.2: at 50 messages a second the slowest in a hundred waited 150 ms,
the slowest submit to an idle fleet 100 to 150. An idle queue costs 0.3 % of a core."""
