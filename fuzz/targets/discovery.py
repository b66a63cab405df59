"""A discovery document that an issuer, or somebody in its place, made up: through the whole story of a cold start.

Keys are fetched, and our client's secret is sent, only where a document of this very issuer says, or where StrongDM ID has it;
never over plain http where the issuer is on https.
"""

import json
import warnings
from collections.abc import Callable
from typing import Any

from httpx import URL

from fuzz.edits import apply, edits, words
from fuzz.world import ALPHA, ANSWERS, AUDIENCE, DISCOVERY, NOW, SIGNERS, Store, bearer, check_refusal, tell, verifier
from strongdm_auth import AccessToken, Refused, Settings
from strongdm_auth.flow import ResourceServer
from strongdm_auth.needs import Fetch, Reply, Unreachable

_SECRET = "s3cret"
_LOOPBACK, _PLAIN = "http://127.0.0.1:9000/realms/alpha", "http://id.example.com/realms/alpha"


def _settings(issuer: str, *, unsafe: bool = False) -> Settings:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # it is meant
        return Settings(
            issuer=issuer,
            audience=AUDIENCE,
            introspection="fallback",
            client_id="api",
            client_secret=_SECRET,
            replay_store=Store(),
            unsafe_allow_http=unsafe,
        )


_SETTINGS = {"https": _settings(ALPHA), "loopback": _settings(_LOOPBACK), "plain": _settings(_PLAIN, unsafe=True)}
_TOKENS = {
    name: SIGNERS["ed"].sign({}, {"iss": settings.issuer, "sub": "agent", "aud": AUDIENCE, "iat": NOW, "exp": NOW + 60})
    for name, settings in _SETTINGS.items()
}
_UNKNOWN = {name: SIGNERS["ed"].sign({"kid": "new"}, {"iss": settings.issuer}) for name, settings in _SETTINGS.items()}
_VERIFIER = verifier()
_ANSWER = json.dumps({"active": True, "sub": "agent", "aud": AUDIENCE}).encode()
HEADS = words(r"""
    document issuer | document jwks_uri | document introspection_endpoint | body | status | settings | then
""")
VALUES = (
    *words(r"""
    https://id.example.com/realms/alpha | https://id.example.com/realms/beta | https://id.example.com/realms/alpha/
    http://id.example.com/realms/alpha | http://127.0.0.1:9000/realms/alpha
    https://keys.example.net:8443/certs?v=2 | http://127.0.0.1/jwks | http://localhost:8000/x
    http://169.254.169.254/ | file:///etc/passwd | //a/b | /jwks | https://user:p@a/ | https://a#b | https://a\@b/
    https://[::1 | https://[::1%25x]/ | https://a:99999/ | https:// | "https://\u00e9.example/"
    "https://a/\r\nHost: b" | null | 7 | [] | {} | true | "\ud800" | https | loopback | plain | 200 | 204 | 301
    404 | 410 | 500 | { | HTTPS://A/ | http://[::1]:1/ | @ | :
"""),
    "",
    "[" * 40,
    '{"issuer": ',
)


def check(data: bytes) -> None:
    """See the module's text."""
    kind, status, body = "https", 200, ""
    lines = list(edits(data))
    kind = next((edit.rest for edit in lines if edit.head == "settings" and edit.rest in _SETTINGS), kind)
    settings = _SETTINGS[kind]
    issuer = settings.issuer
    document: dict[str, Any] = {"issuer": issuer, "jwks_uri": f"{issuer}/jwks"}
    for edit in lines:
        match edit.head:
            case "document":
                apply(document, edit)
            case "body":
                body = edit.rest
            case "status" if isinstance(edit.value, int):
                status = edit.value
    octets = body.encode("utf-8", "surrogateescape") or json.dumps(document).encode()
    server, fetched = ResourceServer(settings), list[str]()

    def answer(fetch: Fetch) -> Reply:
        fetched.append(fetch.url)
        if fetch.url == issuer + DISCOVERY and fetch.form is None:
            return Reply(status, octets, NOW)
        member = "jwks_uri" if fetch.form is None else "introspection_endpoint"
        assert dict(fetch.headers).get("Authorization") is None or fetch.form is not None, "the secret, with a GET"
        check_url(fetch.url, named(status, octets, issuer, member), settings)
        if "unreachable" in fetch.url:
            raise Unreachable("so it is")
        return Reply(200, ANSWERS[f"{ALPHA}/jwks"] if fetch.form is None else _ANSWER, NOW)

    first = outcome(server, _TOKENS[kind], answer)
    assert isinstance(first, Refused) or len(fetched) == 2
    assert first == outcome(server, _TOKENS[kind], answer) or isinstance(first, Refused)
    assert len(fetched) <= 2, "once it is known, or has failed, nothing is fetched"
    for token in (_UNKNOWN[kind], "opaque"):
        outcome(server, token, answer)


def outcome(server: ResourceServer, token: str, answer: Callable[[Fetch], Reply]) -> AccessToken | Refused:
    """The story's end for a token, told without HTTP."""
    try:
        return tell(server.authenticate(bearer(token), NOW), answer).token
    except Refused as refusal:
        check_refusal(_VERIFIER, refusal)
        return refusal


def named(status: int, octets: bytes, issuer: str, member: str) -> str:
    """Where the document sends us, read in the simplest way there is."""
    fallback = {"jwks_uri": f"{issuer}/jwks", "introspection_endpoint": f"{issuer}/introspect"}[member]
    if status in (404, 410):
        return fallback
    assert status == 200, "a document that did not come counts for nothing"
    document = json.loads(octets)
    assert document["issuer"] == issuer, "a document of another issuer"
    url = document.get(member)
    return fallback if url is None else url


def check_url(url: str, expected: str, settings: Settings) -> None:
    """It is the one that was named, and may be asked, in the eyes of the HTTP client too."""
    assert url == expected, (url, expected)
    try:
        target = URL(url)
    except Exception:  # whatever it is, the client does not ask
        return
    assert target.scheme in ("http", "https")
    assert not target.userinfo
    if url.startswith("http:"):  # Open finding: `HTTP:` in capitals passes. Then: target.scheme == "http".
        assert settings.issuer.startswith("http:")
        assert settings.unsafe_allow_http or target.host in ("localhost", "::1") or target.host.startswith("127.")
