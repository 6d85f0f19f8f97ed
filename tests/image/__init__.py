"""The image: its Dockerfile, and what it starts from the installed wheel."""
