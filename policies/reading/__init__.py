"""All the text that a file holds, piece by piece in bounded memory, one module a file format."""
