"""PDF: the text of every page, the targets of links, and the document's metadata.

What cannot be looked into (encrypted, with attached files) is unreadable, not clean. Text that is
drawn as an image or as outlines is not seen.
"""

import re
from collections.abc import Iterator
from pathlib import Path

from policies.reading.piece import Piece, Unreadable, piece_at

_MOST_PAGES = 5000
_BREAK = re.compile(r"\s*\n\s*")


def pieces(path: Path) -> Iterator[Piece]:
    """Raises Unreadable, and whatever the parser makes of a file that is none."""
    from pypdf import PdfReader

    with PdfReader(path, strict=False) as document:
        if document.is_encrypted:
            raise Unreadable("it is encrypted")
        if len(document.pages) > _MOST_PAGES:
            raise Unreadable(f"it has more than {_MOST_PAGES} pages")
        if document.attachments:
            raise Unreadable("it has files attached")
        about = [str(value) for value in (document.metadata or {}).values()]
        if (xmp := document.xmp_metadata) is not None:
            about.append(xmp.stream.get_data().decode("utf-8", "replace"))
        yield piece_at("\n".join(about), "the metadata")
        for number, page in enumerate(document.pages, start=1):
            text = page.extract_text()
            yield piece_at(text, f"page {number}")
            # Again without line breaks: an address that was wrapped is still an address.
            yield piece_at(_BREAK.sub("", text), f"page {number}")
            for annotation in page.annotations or ():
                yield piece_at(str(annotation.get_object()), f"a link or note on page {number}")
