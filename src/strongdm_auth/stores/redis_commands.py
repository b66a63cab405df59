"""What is sent to a Redis or Valkey server, and what its answers mean. Each is one atomic step there, and one exchange.

Braces in a key's name keep what one script touches on one node of a cluster. No key and no value tells which token or
proof it is about, or who sent it.
"""

import math
import secrets
import struct
from base64 import urlsafe_b64encode
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from strongdm_auth.revocation import MOST_REVOCATIONS, Revocation

PREFIX = "strongdm-auth:"
#: What `first_use` answers; any other answer is "used before".
FIRST_USE, SHARE_IS_FULL = 1, -1

# KEYS: the proof, its owner's count. ARGV: seconds to remember it, owner's quota, seconds a count lasts.
# 1: first use; 0: used before; -1: the owner's share is full. Replays count for nobody, or a thief could use up the share.
_FIRST_USE = """
if not redis.call('SET', KEYS[1], '', 'NX', 'EX', ARGV[1]) then return 0 end
local count = redis.call('INCR', KEYS[2])
if count == 1 then redis.call('EXPIRE', KEYS[2], ARGV[3]) end
if count > tonumber(ARGV[2]) then redis.call('DEL', KEYS[1]) return -1 end
return 1
"""
# KEYS: the list by age, the list by expiry, its state. ARGV: now, until, the most, a random word, hashes.
# A number goes up with each entry, and a random word tells one list from the next, after the server forgot.
_REVOKE = """
for _, entry in ipairs(redis.call('ZRANGEBYSCORE', KEYS[2], '-inf', ARGV[1], 'LIMIT', 0, 1000)) do
  redis.call('ZREM', KEYS[1], entry)
  redis.call('ZREM', KEYS[2], entry)
end
if redis.call('ZCARD', KEYS[1]) + #ARGV - 4 > tonumber(ARGV[3]) then return 0 end
redis.call('HSETNX', KEYS[3], 'list', ARGV[4])
for i = 5, #ARGV do
  redis.call('ZADD', KEYS[1], redis.call('HINCRBY', KEYS[3], 'entries', 1), ARGV[i])
  redis.call('ZADD', KEYS[2], ARGV[2], ARGV[i])
end
return 1
"""
# KEYS: the list by age, its state. ARGV: the list and the entry that were read last, the most entries at once.
_REVOKED = """
local list = redis.call('HGET', KEYS[2], 'list')
if not list then return {'', '0', {}} end
local after = 0
if list == ARGV[1] then after = ARGV[2] end
return {list, after, redis.call('ZRANGEBYSCORE', KEYS[1], '(' .. after, '+inf', 'WITHSCORES', 'LIMIT', 0, ARGV[3])}
"""
_BY_AGE, _BY_EXPIRY, _STATE = (f"{PREFIX}{{revoked}}:{part}" for part in ("by-age", "by-expiry", "state"))
#: Revocations in one answer: 200 KB.
_PAGE = 5_000
#: A hash, and until when it is revoked. Whatever else somebody put on the list is passed over.
_ENTRY_BYTES = 40


class Command(NamedTuple):
    """What is sent, and what its answer means."""

    words: tuple[Any, ...]
    read: Callable[[Any], Any]


def first_use(key: bytes, owner: str, seconds: float, quota: int, window: float) -> tuple[Any, ...]:
    """Remember a proof for some seconds, if it is new and its owner's share, counted for a window, allows."""
    # 96 bits of the owner's thumbprint: nobody makes two keys that are alike in them.
    share = f"{PREFIX}{{{owner[:16]}}}"
    # Whole seconds, rounded up, and one more for the difference between two machines' seconds.
    lifetime = max(1, math.ceil(seconds)) + 1
    return "EVAL", _FIRST_USE, 2, f"{share}:{_text(key)}", share, lifetime, quota, max(lifetime, math.ceil(window))


def recall(name: bytes) -> Command:
    return Command(("GET", _answer(name)), lambda answer: answer)


def keep(name: bytes, value: bytes, seconds: float, replace: bool) -> Command:
    words = ("SET", _answer(name), value, "PX", max(1, int(seconds * 1000)))
    return Command(words if replace else (*words, "NX"), lambda _: None)


def revoke(hashes: Sequence[bytes], until: float, now: float) -> Command:
    expiry = struct.pack(">d", until)
    entries = [each + expiry for each in hashes]
    numbers = (repr(now), repr(until), MOST_REVOCATIONS, secrets.token_hex(8))
    return Command(("EVAL", _REVOKE, 3, _BY_AGE, _BY_EXPIRY, _STATE, *numbers, *entries), lambda answer: answer == 1)


def revoked(position: str) -> Command:
    known, _, last = position.partition(":")

    def read(answer: Any) -> tuple[str, list[Revocation]]:
        listed, after, found = answer
        pairs = _pairs(found)
        if pairs:
            after = str(int(float(pairs[-1][1]))).encode()
        return f"{listed.decode()}:{after.decode()}", [
            (entry[:-8], struct.unpack(">d", entry[-8:])[0]) for entry, _ in pairs if len(entry) == _ENTRY_BYTES
        ]

    return Command(("EVAL", _REVOKED, 2, _BY_AGE, _STATE, known, last or "0", _PAGE), read)


def _answer(name: bytes) -> str:
    return f"{PREFIX}answer:{_text(name)}"


def _text(octets: bytes) -> str:
    return urlsafe_b64encode(octets).decode().rstrip("=")


def _pairs(found: list[Any]) -> list[tuple[bytes, Any]]:
    """Entries with their scores: flat from a script, whatever the protocol."""
    return list(zip(found[::2], found[1::2], strict=True))
