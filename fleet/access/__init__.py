"""Who is asking: credentials in, an identity out. What it may do is in contracts/access.py."""
