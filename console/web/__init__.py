"""The operators' pages: rendered here, live by server-sent events, with no build step."""
