"""Other ways to write a path: what an attacker sends to reach a view while the middleware reads another path."""

from collections.abc import Iterator
from itertools import combinations_with_replacement, product

#: Put in beside a slash or at an end, as they stand in a request line.
PIECES = [
    *("/", "//", "/.", "/..", "/./", "/../", "/x/..", "/x/../", ".", ".."),
    *("%2F", "%2f", "%2e", "%2E%2E", "%2e%2e%2f", "%252F", "%5C", "\\", "/\\", "%EF%BC%8F"),
    *(";", ";x=1", "%3B", "..;/", "%3F", "%23", "*", "%25"),
    *(
        "%00",
        "%09",
        "%0A",
        "%0a%0A",
        "%0D",
        "%0D%0A",
        "%0B",
        "%1C",
        "%20",
        "%7F",
        "%C2%85",
        "%C2%A0",
        "%E2%80%A8",
        "%FF",
    ),
]
#: Few enough to be tried in pairs.
PAIRED = ["/", "/..", "/../", "%5C", ";x", "%0A"]


def spellings(path: str) -> list[str]:
    """`path` as an honest client sends it, first; then with one piece or two put in, and in other letters."""
    found = dict.fromkeys([path, *_in_other_letters(path), *_with_pieces(path)])
    return [spelling for spelling in found if spelling.startswith("/")]  # RFC 9112 3.2.1: servers refuse others


def _with_pieces(path: str) -> Iterator[str]:
    slashes = [at for at, character in enumerate(path) if character == "/"]
    places = sorted({*slashes, *(at + 1 for at in slashes), len(path)})
    for at, piece in product(places, PIECES):
        yield path[:at] + piece + path[at:]
    for (first, second), (one, other) in product(combinations_with_replacement(places, 2), product(PAIRED, repeat=2)):
        yield path[:first] + one + path[first:second] + other + path[second:]


def _in_other_letters(path: str) -> Iterator[str]:
    yield from (path.upper(), path.title(), path.swapcase())
    last = path[-1]
    yield path[:-1] + f"%{ord(last):02x}"  # escaped, and the same to every reader
    yield path[:-1] + f"%25{ord(last):02x}"
    yield path.replace("s", "%C5%BF")  # U+017F, which is an s to those who fold case
    yield path.replace("k", "%E2%84%AA")  # U+212A, and a k
