"""The story: who gets in, told once, for threads and event loops alike.

`authenticate` is a generator. It yields when, and only when, the world is needed: `Fetch` (an HTTP exchange), `Join`
(someone else's fetch), `Background` (a story to run meanwhile), `FirstUse` and `AskStore` (a store that is not in this
process). A driver does it and sends the result back, or throws `Unreachable` in. What needs nothing of the world is in plain
functions, and `recall` ends a request by them that asks for nothing else. How keys come is told in `fetching`, what is asked
about a token in `asking`. Every decision is in these three or in the rules they call; a driver or a door decides nothing. Time
is an argument and comes back with the answers.
"""

import json
from typing import Literal, NamedTuple, overload

from .asking import Asking, hash_of
from .certificates import Certificates
from .challenge import EXPOSED
from .claims import ClaimRules, read_access_token
from .credentials import SCHEMES, Credentials, names_a_token, read_credentials
from .dpop import LONGEST_HEADER_REMEMBERED, Proof, ProofRules
from .errors import InvalidDPoPProof, InvalidToken, Refused, TemporarilyUnavailable
from .fetching import KeyFetching, unsigned
from .introspection import Introspection
from .issuers import Issuers
from .jose import (
    Malformed,
    VerificationKey,
    begins_as_jws,
    decode_segment,
    encode_segment,
    parse_object,
    segments,
)
from .keys import IssuerKeys
from .memo import Memo
from .needs import FirstUse, Story, Unreachable
from .receiving import Receiver
from .replay import MemoryReplayStore, ReplayStoreFull, replay_key
from .request import Request
from .settings import Settings
from .standing import Standing, Standings
from .tokens import AccessToken
from .workloads import Workloads

#: Verified tokens kept, so that one is verified once. About 1.2 KB each, and 1 KB more where a route reads the claims.
TOKENS_REMEMBERED = 130_000
#: Token headers kept checked: one for each key of an issuer, as a rule.
HEADERS_REMEMBERED = 1_000


class Admission(NamedTuple):
    """Somebody was let in: the token, and the headers that the answer must carry on top of its own."""

    token: AccessToken
    headers: tuple[tuple[str, str], ...]


class _Verified(NamedTuple):
    """A token that was verified in full, with what a later request must still look at."""

    token: AccessToken
    keys: IssuerKeys
    key: VerificationKey
    scheme: str
    #: The token's hash as a proof must have it; empty for a token that is bound to nothing.
    ath: str
    #: What such a request ends in, if the rest is well; None where scheme and token do not go together.
    admission: Admission | None
    #: How much was known of revocations when it was held against them.
    generation: int


VARY = ("Vary", "Authorization, DPoP")
_ADMITTED = (VARY,)


class ResourceServer:
    """The rules and the memories of one API: everything the story looks at. No I/O and no clock."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.issuers = Issuers(settings)
        self.claims = ClaimRules(settings)
        self.proofs = ProofRules(settings)
        self.certificates = Certificates(settings)
        self.fetching = KeyFetching(settings, self.issuers)
        self.introspection = Introspection(settings, self.claims, self.issuers)
        self.replay = MemoryReplayStore() if settings.replay_store == "memory://" else None
        self.asking = Asking(settings, self.introspection)
        self.revocations = self.asking.revocations
        self.standings = Standings(settings, self.asking)
        self.receiver = Receiver(settings, self.issuers, self.fetching, self.asking)
        self.workloads = Workloads(settings, self.issuers, self.fetching)
        self.verified: Memo[bytes, _Verified] = Memo(TOKENS_REMEMBERED)
        self._headers_known: Memo[str, tuple[str, str | None, str]] = Memo(HEADERS_REMEMBERED)
        #: The longest Authorization value that can have a verdict: a scheme, a space, a token.
        self._longest = settings.max_token_bytes + len("Bearer ")
        self._needs_proof = settings.dpop == "required"
        self._always_asks = settings.introspection == "always"
        self._public_url = settings.public_url
        self._leeway = settings.leeway

    # 1 credentials · 2 split · 3 issuer · 4 key · 5 signature, claims · 6 binding, proof · 7 first use · 8 revocation

    def authenticate(
        self, request: Request, now: float, *, introspect: bool = False, digest: bytes | None = None
    ) -> Story[Admission]:
        """Who sent this request? Ends with an `Admission`, or raises `Refused`. `digest`: what `recall` gave, to save time."""
        credentials, digest, verified = self._read(request, digest)  # 1
        token: AccessToken | None = None
        try:
            if self.revocations.shared:
                yield from self.asking.learn_revocations(now)
            if digest in self.revocations.until:
                raise InvalidToken("token.revoked")
            if verified is not None and not verified.keys.fresh(now):
                now = yield from self.fetching.have(verified.keys, now)
            if verified is not None and verified.key.live:
                token, ath = self._still_good(digest, verified, now), verified.ath
            else:
                token, ath, now = yield from self._learn(credentials, digest, now)  # 2 to 5
            proof = self._check_binding(credentials, request, token, ath, now)  # 6
            if proof is not None:
                store = self.replay
                first = (yield from self._ask_store(proof, now)) if store is None else _first_use(proof, store, now)
                if not first:  # 7
                    raise InvalidDPoPProof("dpop.replayed")
            if introspect or self._always_asks:
                token = yield from self.introspect(credentials.token, token, now)  # 8
        except Refused as refusal:
            refusal.scheme, refusal.token = credentials.scheme, token
            raise
        return Admission(token, self._headers(proof, now))

    def authenticate_workload(self, request: Request, now: float) -> Story[Admission]:
        """Which workload sent this request? Steps 1, 8, and 2 to 5 as `workloads` tells them; nothing binds a JWT-SVID."""
        credentials = read_credentials(request, self.settings.max_token_bytes)
        digest = hash_of(f"{credentials.scheme} {credentials.token}")
        try:
            if credentials.scheme == "DPoP" or self._needs_proof:
                raise InvalidToken("token.unbound")
            if self.revocations.shared:
                yield from self.asking.learn_revocations(now)
            if digest in self.revocations.until:
                raise InvalidToken("token.revoked")
            token = yield from self.workloads.learn(credentials.token, digest, now)
            if self.revocations.generation:
                self.asking.refuse_ended(token)
        except Refused as refusal:
            refusal.scheme = credentials.scheme
            raise
        return Admission(token, _ADMITTED)

    def introspect(self, compact: str, token: AccessToken, now: float) -> Story[AccessToken]:
        """Ask the issuer whether a token, all else about which is good, was revoked; unless it has been asked."""
        if token.introspected or token.svid:
            return token
        answer, _ = yield from self.asking.about(compact, now)
        return self.introspection.confirm(token, answer)

    def recall(self, request: Request, now: float) -> tuple[Admission | None, bytes | None]:
        """What the story ends in where it asks nothing of the world: the same checks, and no generator.

        None: something must be had first, or looked into; the story says what, and is told the hash of the credentials, which
        is the second value. Raises `Refused` as the story does.
        """
        digest = self._digest_of(request)
        if digest is None or self._always_asks or digest in self.revocations.until or self.revocations.due(now):
            return None, digest
        scheme: str | None = None
        token: AccessToken | None = None
        try:
            verified = self.verified.get(digest)
            if verified is None:
                scheme, _, compact = request.authorization[0].partition(" ")
                if scheme not in SCHEMES or len(compact) > self.settings.max_token_bytes:
                    return None, digest
                found = self._verify(scheme, compact, digest, now)
                if not isinstance(found, _Verified):
                    return None, digest
                verified = found
            elif not verified.key.live or not verified.keys.fresh(now):
                return None, digest
            token, _, _, scheme, ath, admission, _ = verified
            if admission is None:
                return None, digest
            self._still_good(digest, verified, now)
            if not ath:
                return admission, digest
            if self.replay is None:
                return None, digest
            proof = self._check_proof(request, token, ath, now)
            if not _first_use(proof, self.replay, now):
                raise InvalidDPoPProof("dpop.replayed")
        except Malformed:  # perhaps by what the scheme is followed by, or an opaque token
            return None, digest
        except Refused as refusal:
            refusal.scheme, refusal.token = scheme, token
            raise
        return Admission(token, self._headers(proof, now)) if proof.renew_nonce else admission, digest

    def standing(self, request: Request, token: AccessToken, now: float) -> Standing:
        """What is looked at from now on, of a token that this request was let in with, while its connection is open."""
        try:
            credentials, digest, verified = self._read(request, None)
        except Refused:  # it was let in by other means than by credentials
            return Standing(token, b"", None, None, None, now, now)
        found = self.workloads.known(digest) if token.svid else verified
        key, keys = (None, None) if found is None else (found.key, found.keys)
        compact = credentials.token if token.introspected else None
        return Standing(token, digest, key, keys, compact, now, now + self.settings.introspection_ttl)

    def _digest_of(self, request: Request) -> bytes | None:
        """The hash of the one Authorization value; None where there is more to be said about the credentials."""
        values, query = request.authorization, request.query
        if len(values) != 1 or len(values[0]) > self._longest or (query and names_a_token(query)):
            return None
        return hash_of(values[0])

    def _read(self, request: Request, digest: bytes | None) -> tuple[Credentials, bytes, _Verified | None]:
        """The request's credentials, their hash, and the verdict on them if there is one.

        Verdicts are kept by the hash of the whole field value in its usual spelling, so that what was sent to the letter
        before need not be read again; another spelling of it (`bearer  x`) is read, and then finds the same verdict.
        """
        digest = self._digest_of(request) if digest is None else digest
        verified = None if digest is None else self.verified.get(digest)
        if digest is not None and verified is not None:
            return _credentials(request, verified), digest, verified
        credentials = read_credentials(request, self.settings.max_token_bytes)
        usual = f"{credentials.scheme} {credentials.token}"
        if digest is None or usual != request.authorization[0]:
            digest = hash_of(usual)
        return credentials, digest, self.verified.get(digest)

    def _still_good(self, digest: bytes, verified: _Verified, now: float) -> AccessToken:
        """The token of a verdict that is kept, once it was held against the time and what was revoked since."""
        token = verified.token
        if token.expires_at is None or now - self._leeway >= token.expires_at:
            raise InvalidToken("token.expired")
        if verified.generation != (generation := self.revocations.generation):
            self.asking.refuse_ended(token)
            self.verified.put(digest, verified._replace(generation=generation))
        return token

    def _learn(self, credentials: Credentials, digest: bytes, now: float) -> Story[tuple[AccessToken, str, float]]:
        """The token that was never seen: verified, with what that needs of the world, or asked about where it is opaque."""
        scheme, compact = credentials.scheme, credentials.token
        try:
            segments(compact)  # 2
        except Malformed:
            if begins_as_jws(compact):  # a JWT that was cut, or lengthened: never rescued
                raise InvalidToken("token.malformed") from None
            if self.settings.introspection == "off":
                raise InvalidToken("token.opaque") from None
            answer, now = yield from self.asking.about(compact, now)
            token = self.introspection.opaque(answer, json.dumps(answer))
            if self.revocations.generation:
                self.asking.refuse_ended(token)
            return token, _ath(compact, token), now
        try:
            found = self._verify(scheme, compact, digest, now)
            if isinstance(found, IssuerKeys):
                keys, before = found, found.fetches
                if not keys.fresh(now):
                    now = yield from self.fetching.have(keys, now)  # 4
                    found = self._verify(scheme, compact, digest, now, had=True, newest=keys.fetches != before)
                if isinstance(found, IssuerKeys):  # they may be newer than what we have: look once more
                    now = yield from self.fetching.force(keys, now)
                    found = self._verify(scheme, compact, digest, now, had=True, newest=True)
        except Malformed:
            raise InvalidToken("token.malformed") from None
        return found.token, found.ath, now

    @overload
    def _verify(
        self, scheme: str, compact: str, digest: bytes, now: float, *, had: Literal[True], newest: Literal[True]
    ) -> _Verified: ...
    @overload
    def _verify(
        self, scheme: str, compact: str, digest: bytes, now: float, *, had: bool = False, newest: bool = False
    ) -> _Verified | IssuerKeys: ...
    def _verify(
        self, scheme: str, compact: str, digest: bytes, now: float, *, had: bool = False, newest: bool = False
    ) -> _Verified | IssuerKeys:
        """Steps 2 to 5 for a JWT, and no world. Gives the issuer's keys where they must be had first (unless `had`), or where
        newer ones may know of the token's key (unless `newest`).

        Raises:
            Malformed: not a compact JWS of JSON.
            InvalidToken: it does not count.
        """
        header, payload, signature = segments(compact)  # 2
        known = self._headers_known.get(header)
        members = parse_object(decode_segment(header)) if known is None else {}
        text = decode_segment(payload)
        claims, octets = parse_object(text), decode_segment(signature)
        alg, kid, media_type = checked = known or self.claims.check_header(members)
        keys = self.issuers.find(claims.get("iss"))  # 3
        if keys is None:
            raise InvalidToken("token.issuer")
        if not had and not keys.fresh(now):
            return keys  # 4
        key = keys.signed_by(kid, alg, compact[: -len(signature) - 1].encode(), octets)  # 5
        if key is None:
            if not newest and not keys.final(now):
                return keys
            raise unsigned(keys, kid, alg, now)
        self.claims.check_claims(claims, media_type, now)
        token = read_access_token(claims, text.decode(), keys.issuer, keys.realm)
        ath = _ath(compact, token)
        fitting = (scheme == "DPoP") if ath else (scheme == "Bearer" and not self._needs_proof)
        if token.certificate_thumbprint is not None:  # each request's is looked at, by the story
            fitting = False
        if known is None and len(header) <= LONGEST_HEADER_REMEMBERED:
            # Only now: the issuer made it, and no stranger.
            self._headers_known.put(header, checked)
        generation = self.revocations.generation
        if generation:
            self.asking.refuse_ended(token)
        admission = Admission(token, _ADMITTED) if fitting else None
        verified = _Verified(token, keys, key, scheme, ath, admission, generation)
        self.verified.put(digest, verified)
        return verified

    def _check_binding(
        self, credentials: Credentials, request: Request, token: AccessToken, ath: str, now: float
    ) -> Proof | None:
        """Bound is bound, whatever the scheme (RFC 9449 7.1, 7.2; RFC 8705 3): the proof of a token that is bound to a key."""
        if token.certificate_thumbprint is not None:
            self.certificates.check(request, token.certificate_thumbprint)
        if token.key_thumbprint is None:
            if credentials.scheme == "DPoP" or (self._needs_proof and not token.bound):
                raise InvalidToken("token.unbound")
            return None
        if credentials.scheme != "DPoP":
            raise InvalidToken("token.bound")
        return self._check_proof(request, token, ath, now)

    def _check_proof(self, request: Request, token: AccessToken, ath: str, now: float) -> Proof:
        return self.proofs.check(
            request.dpop,
            method=request.method,
            uri=request.uri(self._public_url),
            now=now,
            ath=ath,
            thumbprint=token.key_thumbprint,
        )

    def _ask_store(self, proof: Proof, now: float) -> Story[bool]:
        """First use, by a store elsewhere. Only its own True or False counts; one that cannot answer is an outage."""
        try:
            first = yield FirstUse(replay_key(proof.thumbprint, proof.jti), proof.thumbprint, proof.expires_at, now)
        except Unreachable:
            first = None
        if not isinstance(first, bool):
            raise TemporarilyUnavailable("replay.unavailable")
        return first

    def _headers(self, proof: Proof | None, now: float) -> tuple[tuple[str, str], ...]:
        if proof is None or not proof.renew_nonce or self.proofs.nonces is None:
            return _ADMITTED
        # An answer with a nonce must not be stored (RFC 9449 8.2).
        return (VARY, ("DPoP-Nonce", self.proofs.nonces.issue(now)), ("Cache-Control", "no-store"), EXPOSED)


def _credentials(request: Request, verified: _Verified) -> Credentials:
    """The credentials of a request whose Authorization value has a verdict."""
    return Credentials(verified.scheme, request.authorization[0][len(verified.scheme) + 1 :], request.dpop)


def _ath(compact: str, token: AccessToken) -> str:
    """RFC 9449 4.2: base64url of the SHA-256 of the access token. Needed only where it is bound."""
    return encode_segment(hash_of(compact)) if token.key_thumbprint is not None else ""


def _first_use(proof: Proof, store: MemoryReplayStore, now: float) -> bool:
    """First use, by the store in this process."""
    try:
        return store.first_use(replay_key(proof.thumbprint, proof.jti), proof.thumbprint, proof.expires_at, now)
    except ReplayStoreFull:
        raise TemporarilyUnavailable("replay.unavailable") from None
