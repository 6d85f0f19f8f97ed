"""One module a peer: its tasks, its `Sender`, and a worker where the peer has no command."""
