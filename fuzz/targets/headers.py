"""What a request says of itself: the Authorization header, and scheme, host, path and query as WSGI, ASGI and no framework
at all hand them over.

The three ways to hold one request agree; the path that a proof is held against is the one that the app routes by; and
credentials are only ever read where there is exactly one set of them.
"""

import re
from typing import Any
from urllib.parse import unquote_plus, unquote_to_bytes

from fuzz.edits import edits, words
from fuzz.oracle import normal_form
from fuzz.world import check_refusal, verifier
from strongdm_auth import InvalidRequest, InvalidToken, MissingCredentials, Request
from strongdm_auth.credentials import read_credentials
from strongdm_auth.request import EnvironRequest, ScopeRequest

_MOST_TOKEN = 256
_VERIFIER = verifier(dpop="required", resource="https://api.example.com/v1")
_TOKEN = re.compile(r"[A-Za-z0-9._~+/-]+=*")
HEADS = words(r"""
    authorization | dpop | method | target | host | scheme | mount | raw | origin | server
""")
VALUES = (
    *words(r"""
    Bearer abc.def.ghi | DPoP abc | bearer a== | Bearer | Basic YTpi | Bearer a, DPoP b | Bearer a=b
    "Bearer \u00e9" | "Bearer a\tb" | Negotiate x, Bearer y | " \tBearer a" | DPoP a,dpop	b | "\u0130" | /
    /a/b?c=d | /a%2Fb | /%C3%A9 | /%ff | //a | /a?access_token=x | /?access%5Ftoken=x | /?a;access_token=x
    /?access_token | /?&access_token=& | /a;b=c/../d | https://else.example/x?y | * | /% | /%zz | /a?b?c#d | /?%61
    api.example.com | api.example.com:443 | [::1]:8000 | api.example.com/x? | a b | user@host | a,b | a\b | GET
    OPTIONS | https | http | wss | ws | javascript | /mount | /m% | RAW_URI | REQUEST_URI | none
"""),
    "BEARER  a ",
    "Bearer ",
    "",
)


def check(data: bytes) -> None:
    """See the module's text."""
    asked: dict[str, str] = {"method": "GET", "target": "/things?a=b", "host": "api.example.com", "scheme": "https"}
    asked |= {"mount": "", "raw": "RAW_URI", "origin": "", "server": "127.0.0.1"}
    headers: list[tuple[str, str]] = []
    for edit in edits(data):
        text = edit.text.encode("utf-8", "surrogatepass").decode("latin-1")  # as a server reads bytes
        if edit.head in asked:
            asked[edit.head] = text
        elif edit.head in ("authorization", "dpop"):
            headers.append((edit.head, text))
    path, _, query = asked["target"].partition("?")
    plain = Request(asked["method"], f"{asked['scheme']}://{asked['host']}{asked['target']}", headers)
    environ, scope = _environ(asked, path, query, headers), _scope(asked, path, query, headers)
    for request in (plain, environ, scope):
        repr(request)
        check_credentials(request)
        check_uri(request)
    for request in (environ, scope):
        assert request.is_preflight == (asked["method"] == "OPTIONS" and bool(asked["origin"]))
        assert request.route_path
    check_paths(environ, scope, asked, path)
    if query and "#" not in asked["target"] and not re.search("[?#]", asked["scheme"] + asked["host"]):
        assert plain.query == environ.query == scope.query == query


def check_paths(environ: EnvironRequest, scope: ScopeRequest, asked: dict[str, str], path: str) -> None:
    """What a proof is held against decodes to what the app routes by, and keeps `%2F` where the server tells of it."""
    routed = asked["mount"].encode("latin-1") + unquote_to_bytes(path.encode("latin-1"))
    assert unquote_to_bytes(environ.path.encode("latin-1")) == routed or (not routed and environ.path == "/")
    decoded = _decoded(asked, path)
    assert unquote_to_bytes(scope.path.encode("latin-1")) == decoded.encode("utf-8", "surrogateescape") or (
        not decoded and scope.path == "/"
    )
    if asked["raw"] in ("RAW_URI", "REQUEST_URI") and not asked["mount"] and re.match(r"/[!$-~]*\Z", path):
        assert environ.path == scope.path == path


def check_credentials(request: Request) -> None:
    """Exactly one header, exactly one token, and none in the query; else one of three refusals."""
    try:
        credentials = read_credentials(request, _MOST_TOKEN)
    except (MissingCredentials, InvalidRequest, InvalidToken) as refusal:
        check_refusal(_VERIFIER, refusal)
        return
    (value,) = request.authorization
    assert credentials.scheme in ("Bearer", "DPoP")
    assert value.strip(" \t").lower().startswith(credentials.scheme.lower() + " ")
    assert _TOKEN.fullmatch(credentials.token)
    assert len(credentials.token) <= _MOST_TOKEN
    assert value.strip(" \t").endswith(credentials.token)
    names = [unquote_plus(pair.partition("=")[0]) for pair in request.query.split("&")]
    assert "access_token" not in names, "a token in the query as well"
    assert credentials.proofs == request.dpop
    assert credentials.token not in repr(credentials) or len(credentials.token) < 12


def check_uri(request: Request) -> None:
    """Empty, or a URL of this origin and path; a Host header cannot make it another path's, nor can public_url be left."""
    uri = request.uri()
    if uri and request.path.startswith("/") and "#" not in request.path:
        # Open finding: ASGI's `.evil.example/x` or `/a#b` for a path makes another host, or /a, of it. Then: if uri.
        assert uri == request.origin + request.path
        assert not set("?#").intersection(uri), uri
        form, origin = normal_form(uri), normal_form(request.origin)
        assert form is None or (origin is not None and form[:3] == origin[:3]), (uri, request.origin)
    assert request.uri("https://public.example/v1/") == "https://public.example/v1" + request.path


def _decoded(asked: dict[str, str], path: str) -> str:
    return asked["mount"] + unquote_to_bytes(path.encode("latin-1")).decode("utf-8", "surrogateescape")


def _environ(asked: dict[str, str], path: str, query: str, headers: list[tuple[str, str]]) -> EnvironRequest:
    environ: dict[str, Any] = {
        "REQUEST_METHOD": asked["method"],
        "wsgi.url_scheme": asked["scheme"],
        "HTTP_HOST": asked["host"],
        "SERVER_NAME": asked["server"],
        "SERVER_PORT": "8000",
        "SCRIPT_NAME": asked["mount"],
        "PATH_INFO": unquote_to_bytes(path.encode("latin-1")).decode("latin-1"),
        "QUERY_STRING": query,
    }
    if asked["raw"] in ("RAW_URI", "REQUEST_URI"):
        environ[asked["raw"]] = asked["target"]
    elif asked["raw"] != "none":
        environ["RAW_URI"] = asked["raw"]  # a record that is not this request's
    for name in ("authorization", "dpop"):
        values = [value for other, value in headers if other == name]
        if values:
            environ[f"HTTP_{name.upper()}"] = ",".join(values)  # as servers join them
    if asked["origin"]:
        environ |= {"HTTP_ORIGIN": asked["origin"], "HTTP_ACCESS_CONTROL_REQUEST_METHOD": "GET"}
    return EnvironRequest(environ)


def _scope(asked: dict[str, str], path: str, query: str, headers: list[tuple[str, str]]) -> ScopeRequest:
    pairs = [(b"host", asked["host"].encode("latin-1"))] if asked["host"] else []
    pairs += [(name.encode(), value.encode("latin-1")) for name, value in headers]
    if asked["origin"]:
        pairs += [(b"origin", asked["origin"].encode("latin-1")), (b"access-control-request-method", b"GET")]
    raw = {"RAW_URI": path, "REQUEST_URI": path, "none": ""}.get(asked["raw"], asked["raw"])
    scope: dict[str, Any] = {
        "type": "http",
        "method": asked["method"],
        "scheme": asked["scheme"],
        "path": _decoded(asked, path),
        "root_path": asked["mount"],
        "raw_path": raw.encode("latin-1") or None,
        "query_string": query.encode("latin-1"),
        "headers": pairs,
        "server": (asked["server"], 8000),
    }
    return ScopeRequest(scope)
