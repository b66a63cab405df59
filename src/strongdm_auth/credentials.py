"""The credentials in a request (RFC 6750 2.1, RFC 9449 7.1): one scheme, one token.

Tokens are read from the Authorization header alone; one that turns up in the query as well makes the request unreadable
(RFC 6750 2: one method only).
"""

import re
import string
from typing import NamedTuple
from urllib.parse import parse_qsl

from .errors import InvalidRequest, InvalidToken, MissingCredentials
from .request import Request

#: RFC 6750 2.1: b64token = 1*( ALPHA / DIGIT / "-" / "." / "_" / "~" / "+" / "/" ) *"="
_B64TOKEN = (string.ascii_letters + string.digits + "-._~+/").encode("ascii")
#: Two Authorization fields that a server joined into one value (RFC 9110 5.3), whatever the first one's scheme is.
_SECOND_CREDENTIALS = re.compile(r",[ \t]*(?:bearer|dpop)(?:[ \t]|$)", re.IGNORECASE)
#: The schemes in their usual spelling.
SCHEMES = ("Bearer", "DPoP")
_SCHEMES = {scheme.lower(): scheme for scheme in SCHEMES}


class Credentials(NamedTuple):
    """One scheme, one token, and the DPoP field values that came along."""

    scheme: str
    token: str
    proofs: tuple[str, ...]

    def __repr__(self) -> str:
        return f"<Credentials {self.scheme}>"


def read_credentials(request: Request, max_token_bytes: int) -> Credentials:
    """The credentials of a request.

    Raises:
        MissingCredentials: nothing is there that could be judged, or a scheme that is not ours.
        InvalidRequest: they cannot be read, or came more than once (RFC 6750 3.1).
        InvalidToken: the token is longer than `max_token_bytes`; it was not looked at.
    """
    values = request.authorization
    if not values:
        raise MissingCredentials("credentials.missing")
    first = values[0]
    if len(values) > 1:
        raise InvalidRequest("credentials.repeated", scheme=_SCHEMES.get(first.partition(" ")[0].lower()))
    value = first.strip(" \t")
    name, _, token = value.partition(" ")
    scheme = _SCHEMES.get(name.lower())
    if scheme is None:
        if _SECOND_CREDENTIALS.search(value):
            raise InvalidRequest("credentials.repeated")
        raise MissingCredentials("credentials.scheme" if value else "credentials.missing")
    token = token.lstrip(" ")
    if len(token) > max_token_bytes:
        raise InvalidToken("token.too_long", scheme=scheme)
    if not is_b64token(token):
        reason = "credentials.repeated" if _SECOND_CREDENTIALS.search(value) else "credentials.malformed"
        raise InvalidRequest(reason, scheme=scheme)
    if names_a_token(request.query):
        raise InvalidRequest("credentials.repeated", scheme=scheme)
    return Credentials(scheme, token, request.dpop)


def is_b64token(token: str) -> bool:
    """RFC 6750 2.1, as a regular expression would say it, in a fifth of the time: this is asked of every request."""
    try:
        rest = token.encode("ascii").translate(None, _B64TOKEN)
    except UnicodeEncodeError:
        return False
    return len(rest) < len(token) and (not rest or (token.endswith("=" * len(rest)) and not rest.strip(b"=")))


def names_a_token(query: str) -> bool:
    """Whether a query has a parameter `access_token`, however it is escaped (RFC 6750 2.3)."""
    if "access" not in query and "%" not in query:
        return False
    return any(name == "access_token" for name, _ in parse_qsl(query, keep_blank_values=True, max_num_fields=None))
