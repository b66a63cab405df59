"""Held against the `spiffe` package (SPIFFE's own for Python, on PyJWT): the same SVIDs and the same bundle to both.

What it accepts and we refuse is named here, with our reason; what we accept and it refuses is one thing, which the
specification grants.
"""

import json
import time
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import pytest

from strongdm_auth import Requirement
from strongdm_auth.testing import Clock
from tests.conftest import AUDIENCE
from tests.parts.world import World

from .domains import Domain, jwt_svid_key, told, written

spiffe_svid = pytest.importorskip("spiffe.svid.jwt_svid")
spiffe_bundle = pytest.importorskip("spiffe.bundle.jwt_bundle.jwt_bundle")
spiffe_id = pytest.importorskip("spiffe.spiffe_id.spiffe_id")

Members = dict[str, Any]
GONE = object()


@dataclass(frozen=True)
class Edit:
    """A way to make an SVID another one; members that are `GONE` are taken out, and `text` is done to the JSON."""

    name: str
    members: tuple[tuple[str, Any], ...] = ()
    text: Callable[[str], str] = lambda text: text
    #: Why we refuse what `spiffe` accepts.
    stricter: str | None = None
    #: Why we accept what `spiffe` refuses.
    lenient: str | None = None

    def written(self, honest: Members) -> str:
        made = {**honest, **dict(self.members)}
        return self.text(json.dumps({name: value for name, value in made.items() if value is not GONE}))


def edit(name: str, stricter: str | None = None, lenient: str | None = None, **members: Any) -> Edit:
    return Edit(name, tuple(members.items()), stricter=stricter, lenient=lenient)


HEADERS = [
    edit("an honest header"),
    edit("typ JOSE", typ="JOSE"),
    edit("no typ", typ=GONE),
    edit("no kid", kid=GONE, lenient="section 2.2: kid is optional; the keys that fit are tried"),
    edit("kid of nobody", kid="nobody's"),
    edit("kid of another key", kid="other"),
    edit("kid a number", kid=1),
    edit("typ at+jwt", typ="at+jwt"),
    edit("typ jwt", typ="jwt"),
    edit("typ empty", "svid.type", typ=""),
    edit("typ null", "svid.type", typ=None),
    edit("alg in small letters", alg="es256"),
    edit("alg none", alg="none"),
    edit("alg of another family", alg="PS256"),
    edit("jwk in the header", "svid.malformed", jwk={"kty": "EC"}),
    edit("cty in the header", "svid.malformed", cty="JWT"),
    edit("a private member in the header", "svid.malformed", tenant="x"),
    Edit(
        "a name twice in the header",
        text=lambda text: text.replace("{", '{"alg":"ES384",', 1),
        stricter="svid.malformed",
    ),
]
CLAIMS = [
    edit("honest claims"),
    edit("more claims", iss="https://id.example.com", jti="1", team="x", azp="y"),
    Edit("white space", text=lambda text: f" {text}\n"),
    # 3.1
    edit("no sub", sub=GONE),
    edit("sub a person's", sub="ann@example.com"),
    edit("sub of another domain", sub="spiffe://b.example/x"),
    edit("sub without path", sub="spiffe://a.example"),
    edit("sub with a slash at its end", sub="spiffe://a.example/x/"),
    edit("sub with dots", sub="spiffe://a.example/../x"),
    edit("sub with a port", sub="spiffe://a.example:1/x"),
    edit("sub with a query", sub="spiffe://a.example/x?y"),
    edit("sub with an escape", sub="spiffe://a.example/%41"),
    edit("sub with a capital scheme", "svid.type", sub="SPIFFE://a.example/x"),
    edit("sub with a capital domain", "svid.type", sub="spiffe://A.example/x"),
    edit("sub with a line's end", "svid.type", sub="spiffe://a.example/x\n"),
    edit("sub too long", "svid.type", sub="spiffe://a.example/" + "x" * 2048),
    Edit(
        "sub twice", text=lambda text: text.replace("{", '{"sub":"spiffe://a.example/y",', 1), stricter="svid.malformed"
    ),
    # 3.2
    edit("aud a string", aud=AUDIENCE),
    edit("aud of two", aud=["other", AUDIENCE]),
    edit("no aud", aud=GONE),
    edit("aud empty", aud=[]),
    edit("aud of others", aud=["other"]),
    edit("aud with a number", aud=[AUDIENCE, 1]),
    # 3.3, 4
    edit("no exp", exp=GONE),
    edit("exp passed", exp=1_000),
    edit("exp a fraction", exp=4_000_000_000.5),
    edit("exp in letters", "token.claims", exp="4000000000"),
    edit("exp true", exp=True),
    edit("nbf to come", nbf=4_000_000_000),
    edit("nbf in letters", "token.claims", nbf="0"),
    edit("iat to come", "token.not_yet_valid", iat=4_000_000_000),
    edit("iat in letters", "token.claims", iat="now"),
    edit("no iat", iat=GONE),
    edit("iss a list", "token.claims", iss=["x"]),
    Edit("NaN", text=lambda text: text.replace("{", '{"x":NaN,', 1), stricter="svid.malformed"),
    Edit(
        "forty levels",
        text=lambda text: text.replace("{", '{"x":' + '{"x":' * 40 + "1" + "}" * 40 + ",", 1),
        stricter="svid.malformed",
    ),
    # what only other kinds of token have
    *(
        edit(f"{name} of an access token", "svid.type", **{name: value})
        for name, value in {
            "scope": "read",
            "token_type": "access_token",
            "token_use": "access",
            "typ": "Bearer",
            "cnf": {"jkt": "x"},
            "act": {"sub": "y"},
            "events": {},
        }.items()
    ),
]
SIGNATURES: dict[str, Callable[[str], str]] = {
    "honest": lambda svid: svid,
    "padded": lambda svid: svid + "==",
    "cut": lambda svid: svid[:-2],
    "none": lambda svid: svid.rpartition(".")[0] + ".",
    "stray bits": lambda svid: svid[:-1] + chr(ord(svid[-1]) + 1),
}
#: A spelling of the same octets that PyJWT reads all the same.
STRICTER_OF_SIGNATURES = {"padded": "svid.malformed"}


class Both:
    """The two of them, with the same bundle."""

    def __init__(self, domain: Domain) -> None:
        self.domain = domain
        self._document = json.loads(domain.world.answers[domain.url].body)

    @cached_property
    def verifier(self) -> Any:
        known = {name: f"https://bundles.example.net/{name}" for name in ("a.example", "b.example")}
        return self.domain.world.verifier(trust_domains=known, leeway=0)  # `spiffe` allows for none

    @cached_property
    def bundle(self) -> Any:
        return spiffe_bundle.JwtBundle.parse(
            spiffe_id.TrustDomain(self.domain.name), json.dumps(self._document).encode()
        )

    def ours(self, svid: str) -> str:
        return told(self.verifier, svid, _ANY_WORKLOAD)

    def theirs(self, svid: str) -> bool:
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                spiffe_svid.JwtSvid.parse_and_validate(svid, self.bundle, {AUDIENCE})
        except Exception:  # some of them are no errors of its own
            return False
        return True


_ANY_WORKLOAD = Requirement(spiffe_ids=["spiffe://a.example", "spiffe://a.example/*", "spiffe://b.example/*"])


@pytest.fixture
def both(world: World, a: Domain, b: Domain, clock: Clock) -> Both:
    clock.set(int(time.time()))  # as `spiffe` reads it from the system
    a.publish(a.key, jwt_svid_key(kid="other"))
    return Both(a)


def _svid(domain: Domain, header: Edit, claims: Edit) -> str:
    honest = {"alg": domain.key.alg, "kid": domain.key.kid, "typ": "JWT"}
    return written(domain.key, header.written(honest), claims.written(domain.claims()))


@pytest.mark.parametrize("header", HEADERS, ids=lambda header: header.name)
def test_whatever_both_are_given(header: Edit, both: Both) -> None:
    for claims in CLAIMS:
        svid, edits = _svid(both.domain, header, claims), (header, claims)
        ours, theirs = both.ours(svid), both.theirs(svid)
        explained = {each.stricter for each in edits} - {None}
        where = f"{header.name}, {claims.name}: {ours}"
        if theirs:
            assert ours == "in" if not explained else ours in explained, where
        elif ours == "in":
            assert any(each.lenient for each in edits), where


@pytest.mark.parametrize(
    "named", [each for each in HEADERS + CLAIMS if each.stricter or each.lenient], ids=lambda named: named.name
)
def test_every_difference_that_is_named_is_one(named: Edit, both: Both) -> None:
    in_header = named in HEADERS
    svid = _svid(both.domain, named if in_header else HEADERS[0], CLAIMS[0] if in_header else named)
    assert (both.ours(svid), both.theirs(svid)) == ((named.stricter, True) if named.stricter else ("in", False))


@pytest.mark.parametrize("name", SIGNATURES)
def test_spellings_of_a_signature(name: str, both: Both) -> None:
    svid = SIGNATURES[name](both.domain.svid())
    expected = (STRICTER_OF_SIGNATURES[name], True) if name in STRICTER_OF_SIGNATURES else None
    found = (both.ours(svid), both.theirs(svid))
    assert found == expected if expected else (found[0] == "in") == found[1], found


@pytest.mark.parametrize("alg", [f"{family}{bits}" for family in ("RS", "ES", "PS") for bits in (256, 384, 512)])
def test_the_same_nine_algorithms(alg: str, both: Both) -> None:
    key = jwt_svid_key(alg)
    both.domain.publish(key)
    again = Both(both.domain)
    svid = both.domain.svid(key=key)
    assert (again.ours(svid), again.theirs(svid)) == ("in", True)
    stranger = jwt_svid_key("ES256", kid=key.kid)
    assert (again.ours(both.domain.svid(key=stranger)) == "in", again.theirs(both.domain.svid(key=stranger))) == (
        False,
        False,
    )


@pytest.mark.parametrize(
    ("change", "ours"),
    [
        ({}, "in"),
        # 6.2: only entries of use `jwt-svid`; `spiffe` leaves it to who extracts them, which the Workload API does for it
        ({"use": "sig"}, "token.key_unknown"),
        ({"use": GONE}, "token.key_unknown"),
        ({"use": "x509-svid"}, "token.key_unknown"),
        # RFC 8725 3.1: a key is for the algorithm that it says
        ({"alg": "ES384"}, "token.key_unknown"),
        ({"key_ops": ["sign"]}, "token.key_unknown"),
        ({"d": "AAAA"}, "token.key_unknown"),
        ({"kid": GONE}, "token.key_unknown"),
    ],
    ids=str,
)
def test_keys_of_a_bundle(change: Members, ours: str, both: Both) -> None:
    member = {**both.domain.key.public_jwk(), **change}
    both.domain.publish_members([{name: value for name, value in member.items() if value is not GONE}])
    again, svid = Both(both.domain), both.domain.svid()
    assert again.ours(svid) == ours
    if ours == "in":
        assert again.theirs(svid)
