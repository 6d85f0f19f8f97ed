"""Real servers that tests start on this machine, each stopped by its own process id."""
