"""Short texts that people read, and content types: printable ASCII, bounded.

A verdict is shown on terminals and pages. A text from a stranger must not move the
cursor there, nor look like another text.
"""

from __future__ import annotations

import re

from enclaved.errors import ProtocolError
from enclaved.wire.limits import MAX_CONTENT_TYPE, MAX_TEXT

__all__ = ["check_content_type", "check_text"]

_PRINTABLE = re.compile(r"[ -~]*\Z")


def check_text(text: str, *, what: str) -> None:
    """Check a version, digest, engine, isolation level or profile.

    Raises:
        ProtocolError: it is not 1 to 64 printable ASCII characters.
    """
    if not 1 <= len(text) <= MAX_TEXT or not _PRINTABLE.match(text):
        raise ProtocolError(what, f"a text has 1 to {MAX_TEXT} printable ASCII characters")


def check_content_type(text: str, *, what: str) -> None:
    """Check a content type; an empty one says nothing.

    Raises:
        ProtocolError: it is not up to 128 printable ASCII characters.
    """
    if len(text) > MAX_CONTENT_TYPE or not _PRINTABLE.match(text):
        raise ProtocolError(what, f"a content type has at most {MAX_CONTENT_TYPE} printable ASCII characters")
