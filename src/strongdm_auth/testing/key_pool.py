"""Where the RSA keys of a test process come from. Making one takes tens of milliseconds, and a test
session starts issuers by the hundred, so a key whose owner is gone is lent out again. It never lends one
key to two owners at a time, and a key rests before it comes back, so that a token of an issuer just gone
does not verify at the next one."""

from __future__ import annotations

import weakref
from collections import deque

from joserfc.jwk import Key

from strongdm_auth.testing import jws

# A returned key waits until so many others were returned after it: more than the issuers one test compares.
_RESTING = 16
_returned: deque[Key] = deque()  # appended to from finalizers, so only its atomic operations and no lock


def borrow(alg: str) -> Key:
    """A private key for this algorithm that nobody else holds; RSA keys may have served an owner now gone."""
    if jws.is_rsa(alg) and len(_returned) > _RESTING:
        try:
            return _returned.popleft()
        except IndexError:
            pass  # another thread took the last one
    return jws.generate_key(alg)


def give_back_with(owner: object, key: Key, alg: str) -> None:
    """Hand the key back once its owner has been collected."""
    if jws.is_rsa(alg):
        weakref.finalize(owner, _returned.append, key).atexit = False
