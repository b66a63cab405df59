"""Putting the headers of an admission on an app's own answer: lists are joined, Cache-Control replaced, the rest added.

On bytes, as ASGI has them, since that is the path that is walked a thousand times a second.
"""

from collections.abc import Iterable
from functools import lru_cache

Pairs = list[tuple[bytes, bytes]]
#: Lists of field names, to which ours are added.
_LISTS = frozenset({b"vary", b"access-control-expose-headers"})


def merged(headers: Iterable[tuple[bytes, bytes]], added: tuple[tuple[str, str], ...]) -> Pairs:
    """`headers` with `added`; one that the app set itself stays as it is, but for what must not be stored or must vary."""
    result = list(headers)
    names = [name.lower() for name, _ in result]
    for name, value in _encoded(added):
        if name not in names:
            result.append((name, value))
        elif names.count(name) == 1 and (name, value) in result:
            continue  # put there before, by another door or for another requirement
        elif name in _LISTS or name == b"cache-control":
            there = [old for other, old in result if other.lower() == name]
            result = [pair for pair in result if pair[0].lower() != name]
            result.append((name, _joined(there, value) if name in _LISTS else value))
    return result


@lru_cache(64)  # almost always the same one; those with a nonce come and go
def _encoded(added: tuple[tuple[str, str], ...]) -> Pairs:
    return [(name.lower().encode("ascii"), value.encode("ascii")) for name, value in added]


def _joined(there: list[bytes], value: bytes) -> bytes:
    """One list of all field names, each once (RFC 9110 12.5.5, Fetch standard); `*` says it all already."""
    listed = b", ".join(there)
    known = {field.strip().lower() for field in listed.split(b",")}
    if b"*" in known:
        return listed
    missing = [field for field in value.split(b", ") if field.lower() not in known]
    return b", ".join([listed, *missing])
