"""Who was let in, as headers for the upstream.

A value is percent-encoded (RFC 3986 2.1, UTF-8), so that whatever an issuer puts into a claim stays one header value of
visible ASCII: no CR or LF ends it, no comma or space divides it. `unquote` gives it back. Every header is in every answer,
empty where there is nothing to say: a proxy that copies them over the client's own then copies over all of them.
"""

from urllib.parse import quote

from strongdm_auth.tokens import AccessToken

#: What begins with this is ours to say: recipes remove it from what clients send.
PREFIX = "X-Auth-"
#: An actor that is there and cannot be told; an encoded name never has a bare question mark.
UNKNOWN = "?"
#: Characters in all values together: upstreams give up at about 8 KB. Cut short, it would be another identity.
LONGEST_IDENTITY = 6_000

Headers = tuple[tuple[str, str], ...]


def _encoded(value: str | None) -> str:
    return "" if value is None else quote(value, safe="/:@!$'()*+=&", errors="surrogatepass")


def identity(token: AccessToken | None) -> Headers | None:
    """The headers; None when they are too long to arrive whole."""
    actor = None if token is None else token.actor
    values: dict[str, str] = dict.fromkeys(
        ("Subject", "Issuer", "Realm", "Client", "Scopes", "Actor", "Actor-Issuer"), ""
    )
    if token is not None:
        values["Subject"] = _encoded(token.subject)
        values["Issuer"] = _encoded(token.issuer)
        values["Realm"] = _encoded(token.realm)
        values["Client"] = _encoded(token.client_id)
        values["Scopes"] = " ".join(_encoded(scope) for scope in sorted(token.scopes))
        if actor is not None:
            values["Actor"] = UNKNOWN if actor.subject is None else _encoded(actor.subject)
            values["Actor-Issuer"] = _encoded(actor.issuer or token.issuer)
    if sum(map(len, values.values())) > LONGEST_IDENTITY:
        return None
    return tuple((f"{PREFIX}{name}", value) for name, value in values.items())
