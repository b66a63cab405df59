"""Putting the headers of an admission on an app's own answer: Vary is joined, Cache-Control replaced, the rest added.

On bytes, as ASGI has them, since that is the path that is walked a thousand times a second.
"""

from collections.abc import Iterable

Pairs = list[tuple[bytes, bytes]]


def merged(headers: Iterable[tuple[bytes, bytes]], added: tuple[tuple[str, str], ...]) -> Pairs:
    """`headers` with `added`; one that the app set itself stays as it is, but for what must not be stored or must vary."""
    result = list(headers)
    for name, value in added:
        key = name.lower().encode("ascii")
        there = [old for other, old in result if other.lower() == key]
        if not there:
            result.append((key, value.encode("ascii")))
        elif name in ("Vary", "Cache-Control"):
            result = [pair for pair in result if pair[0].lower() != key]
            result.append((key, _joined(there, value) if name == "Vary" else value.encode("ascii")))
    return result


def _joined(there: list[bytes], value: str) -> bytes:
    """One Vary of all field names, each once (RFC 9110 12.5.5); `*` says it all already."""
    varies = b", ".join(there)
    known = {field.strip().lower() for field in varies.split(b",")}
    if b"*" in known:
        return varies
    missing = [field.encode("ascii") for field in value.split(", ") if field.lower().encode("ascii") not in known]
    return b", ".join([varies, *missing])
