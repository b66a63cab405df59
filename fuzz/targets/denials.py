"""Refusals as HTTP answers: one WWW-Authenticate value that a client can read, ASCII, no line break, whatever the route asks
and whatever an application raises.
"""

import json
import re

from fuzz.edits import edits, words
from strongdm_auth import ConfigurationError, Requirement, StrongDMAuthError, TemporarilyUnavailable
from strongdm_auth.challenge import Challenges, Denial
from strongdm_auth.errors import DESCRIPTIONS, REFUSALS
from strongdm_auth.fields import parse_algorithms, parse_url
from strongdm_auth.metadata import metadata_url
from strongdm_auth.requirement import RequirementKeywords

_ERRORS = {error.__name__: error for error in REFUSALS}
#: RFC 9110 11.2, 11.6.1: a scheme, then parameters; here each value is a quoted string, without escapes.
_PARAMETER = r'[a-z_]+="[\x20\x21\x23-\x5B\x5D-\x7E]*"'
_CHALLENGE = rf"(?:Bearer|DPoP) {_PARAMETER}(?:, {_PARAMETER})*"
_CHALLENGES = re.compile(rf"{_CHALLENGE}(?:, {_CHALLENGE})?")
HEADS = words(r"""
    raise | reason | scheme | message | status | scopes | any_scope | acr | max_age | dpop | required | algorithms
    resource | nonce | after
""")
VALUES = (
    *_ERRORS,
    *DESCRIPTIONS,
    *words(r"""
    Bearer | DPoP | admin | read write | "a\"b" | a\b | "a\r\nX: y" | "\u00e9" | ["a", "b"] | [["a"], ["b"]] | [] | 0
    1 | 60 | -1 | 1e400 | true | 0.1 | 200 | 400 | 401 | 403 | 404 | 500 | 503 | ES256 | RS256,PS256 | none
    https://api.example.com | https://api.example.com/v1/ | https://a/%22 | http://a | abc | ", error="x | https://a;b/'
"""),
)


def check(data: bytes) -> None:
    """See the module's text."""
    asked = {edit.head: edit for edit in edits(data)}
    text = {head: edit.text for head, edit in asked.items()}
    keywords: RequirementKeywords = {}
    for name in ("scopes", "any_scope", "acr", "max_age", "dpop"):
        if name in asked:
            keywords[name] = asked[name].value
    try:
        requirement = Requirement(**keywords)
        algorithms = parse_algorithms(text.get("algorithms", "ES256"))
        resource = parse_url(text["resource"]) if "resource" in asked else None
    except (ConfigurationError, ValueError, TypeError):
        return  # such a route, or such a setting, there is not
    challenges = Challenges("required" in asked, algorithms, None if resource is None else metadata_url(resource))
    error = _error(text)
    denial = challenges.denial(error, requirement, nonce="a-nonce" if "nonce" in asked else None)
    check_denial(denial, error, requirement)


def check_denial(denial: Denial, error: StrongDMAuthError, requirement: Requirement) -> None:
    """It can be sent, it can be read, and it says what the route asks."""
    headers = dict(denial.headers)
    assert len(headers) == len(denial.headers), "one value a header"
    for name, value in denial.headers:
        assert re.fullmatch(r"[A-Za-z-]+", name)
        assert value.isascii() and value.isprintable(), (name, value)
    body = json.loads(denial.body)
    assert body == {"error": error.error, "error_description": error.message}
    assert denial.body.isascii()
    assert denial.status == error.status_code
    assert headers["Cache-Control"] == "no-store"
    if isinstance(error, TemporarilyUnavailable):
        assert int(headers["Retry-After"]) >= 1
    elif denial.status in (400, 401, 403):
        value = headers["WWW-Authenticate"]
        assert _CHALLENGES.fullmatch(value), value
        assert value.startswith("Bearer ") or "Bearer " not in re.sub('"[^"]*"', "", value)
        for scope in requirement.scope_names():
            assert re.search(rf'scope="([^"]* )?{re.escape(scope)}[ "]', value), (scope, value)
    if type(error) in REFUSALS:
        assert denial.status in (400, 401, 403, 503)


def _error(text: dict[str, str]) -> StrongDMAuthError:
    reason = text.get("reason", "")
    reason = reason if reason in DESCRIPTIONS else "token.expired"
    scheme = text.get("scheme") if text.get("scheme") in ("Bearer", "DPoP") else None
    kind = _ERRORS.get(text.get("raise", ""))
    if kind is TemporarilyUnavailable and re.fullmatch(r"[0-9]{1,9}(\.[0-9]{1,9})?", text.get("after", "")):
        return TemporarilyUnavailable(reason, retry_after=float(text["after"]), scheme=scheme)
    if kind is not None:
        return kind(reason, scheme=scheme)
    status = text.get("status", "401")
    return StrongDMAuthError(text.get("message", ""), int(status) if re.fullmatch("[2-5][0-9][0-9]", status) else None)
