"""What is allowed, and what happens next: the policy gate, the scanner, the retry decision."""
