"""The way in: intake over HTTP and from the queue, admit, plan, relay of the outbox, sweep."""
