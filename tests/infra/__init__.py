"""Infrastructure as files: read for what they say, not deployed."""
