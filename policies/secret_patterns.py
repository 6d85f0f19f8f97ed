"""Secrets and places in a text, by their shape.

Named shapes only, no guessing by entropy: digests, UUIDs and claim numbers are not secrets, and a
scanner that cries at them gets switched off. What has no shape (a password in prose) is not found.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass

from policies.facts import FindingKind

K = FindingKind


@dataclass(frozen=True, slots=True)
class _Shape:
    """`hints`: lower-case literals, of which the text holds one if it holds the shape at all.

    Looking for a literal is some fifty times faster than running the pattern.
    """

    kind: FindingKind
    hints: tuple[str, ...]
    pattern: re.Pattern[str]


def _shape(kind: FindingKind, hints: str, pattern: str) -> _Shape:
    return _Shape(kind, tuple(hints.split()), re.compile(pattern, re.IGNORECASE))


_REST = r"[^\s\"'<>,;:)\]]{0,1000}"
"""What follows in a path."""

# Repeats are bounded: a hostile text of one endless word must not cost its length squared.
_SHAPES = (
    _shape(K.TOKEN, "eyj", r"\beyJ[\w-]{8,4000}\.[\w-]{8,8000}\.[\w-]{8,2000}"),
    _shape(K.TOKEN, "bearer", r"\bbearer\s{1,4}(?=[^\s\d]{0,200}\d)[\w.~+/-]{20,4000}"),
    _shape(K.TOKEN, "ghp_ gho_ ghu_ ghs_ ghr_", r"\bgh[pousr]_[a-z0-9]{36,255}"),
    _shape(K.TOKEN, "github_pat_", r"\bgithub_pat_\w{22,255}"),
    _shape(K.TOKEN, "glpat-", r"\bglpat-[\w-]{20,255}"),
    _shape(K.TOKEN, "xox", r"\bxox[abeoprs]-[a-z0-9-]{10,255}"),
    _shape(K.TOKEN, "akia asia", r"\b(?-i:A[KS]IA[0-9A-Z]{16})\b"),
    _shape(K.TOKEN, "aiza", r"\b(?-i:AIza[\w-]{35})"),
    _shape(K.TOKEN, "sk-", r"\b(?-i:sk-(?=[A-Za-z_-]{0,100}\d)[A-Za-z0-9_-]{20,255})"),
    _shape(K.TOKEN, "q~", r"\b(?-i:[\w~.-]{3}[78]Q~[\w~.-]{31,34})"),  # an Entra client secret
    _shape(K.TOKEN, "00d", r"\b(?-i:00D[A-Za-z0-9]{12,15}![\w.]{40,255})"),  # a Salesforce session
    _shape(
        K.TOKEN,
        "password passwd secret api_key api-key apikey token",
        # A label with a value behind it that has a digit: `password: required` is prose.
        r"(?<![a-z])(?:password|passwd|(?:client[_-]?)?secret|api[_-]?key|"
        r"(?:access|refresh|auth|id)[_-]?token|token)[\"']?\s{0,4}[:=]\s{0,4}[\"']?"
        r"(?=[^\s\"',;&]{0,200}\d)[^\s\"',;&<${*\[(][^\s\"',;&]{7,4000}",
    ),
    _shape(
        K.PRIVATE_KEY,
        "private key-----",
        r"-----BEGIN (?:[A-Z0-9]{1,20} ){0,3}PRIVATE KEY-----"
        r"(?s:.{0,9000}?-----END [^-]{1,60}-----)?",
    ),
    _shape(
        K.SIGNED_URL,
        "sig= signature= tempauth= token= key= code= sas=",
        r"https?://[^\s\"'<>]{1,4000}[?&;]"
        r"(?:sig|(?:x-(?:amz|goog)-)?signature|tempauth|(?:access_|auth_)?token|api[_-]?key|"
        r"subscription-key|code|sas)=[^\s&\"'<>]{8}[^\s\"'<>]{0,4000}",
    ),
    _shape(
        K.SIGNED_URL,
        "sig=",
        r"\b(?:sv|se|sp|sr)=[^\s\"'<>]{1,2000}&(?:amp;)?sig=[^\s&\"'<>]{16}[^\s\"'<>]{0,2000}",
    ),
    _shape(
        K.CONNECTION_STRING,
        "accountkey sharedaccesskey sharedaccesssignature",
        r"\b(?:AccountKey|SharedAccessKey|SharedAccessSignature)\s?=\s?[^\s;\"']{16,2000}",
    ),
    _shape(
        K.CONNECTION_STRING,
        "password pwd",
        r"(?:^|[;{\s\"'])(?:password|pwd)\s?=\s?[^\s;\"'<${*\[(][^;\"'\r\n]{2,200};"
        r"|;\s?(?:password|pwd)\s?=\s?[^\s;\"'<${*\[(][^\s;\"']{2,200}",
    ),
    _shape(
        K.CONNECTION_STRING,
        "://",
        r"\b[a-z][a-z0-9+.-]{0,40}://[^/\s:@\"'<>]{0,200}:[^/\s@\"'<>$]{3,400}@",
    ),
    _shape(K.LOCAL_PATH, "file://", r"\bfile://[^\s\"'<>]{2,1000}"),
    _shape(
        K.LOCAL_PATH,
        "/home/ /users/ /root/ /tmp/ /var/ /mnt/ /opt/ /srv/ /etc/ /usr/ /private/ /volumes/",
        # Not behind a name: the path of a web address is no place on a machine.
        r"(?<![\w.~:/%@&=?#-])(?-i:/(?:home|Users|root|tmp|var|mnt|opt|srv|etc|usr|private|Volumes)"
        r"/)[\w.@+-]" + _REST,
    ),
    _shape(K.LOCAL_PATH, ":\\", r"\b[a-z]:\\{1,2}[^\s\\/:*?\"<>|]{1,100}\\" + _REST),
    _shape(K.LOCAL_PATH, "\\\\", r"(?<![\w:\\])\\\\[a-z0-9._-]{2,60}\\[a-z0-9._$-]{2}" + _REST),
)


def _hinted(shapes: tuple[_Shape, ...]) -> str:
    return "|".join(re.escape(hint) for shape in shapes for hint in shape.hints)


_ANY_HINT = re.compile(_hinted(_SHAPES))

SECRET_HINTS = _hinted(tuple(shape for shape in _SHAPES if shape.kind is not K.LOCAL_PATH))
"""A regular expression, for any engine, letters of either case: a text that does not match holds
no secret that `secrets_in` would find. It may hold places."""


def secrets_in(text: str, places: tuple[str, ...] = ()) -> Iterator[tuple[FindingKind, int, int]]:
    """What kinds are found, where they begin and end. `places`: paths of this machine, found as
    they are written, with what follows them."""
    lowered = text.lower()
    for shape in _SHAPES if _ANY_HINT.search(lowered) else ():
        if any(hint in lowered for hint in shape.hints):
            for match in shape.pattern.finditer(text):
                yield shape.kind, *match.span()
    for place in places:
        if place in text:
            for match in re.finditer(re.escape(place) + _REST, text):
                yield K.LOCAL_PATH, *match.span()
