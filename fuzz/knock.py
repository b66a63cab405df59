"""One knock at the door: an honest request, edited, then signed with real keys, so that the deep checks are reached.

    claims NAME [VALUE]      header NAME [VALUE]         the access token; without a value the member goes
    proof NAME [VALUE]       proof-header NAME [VALUE]   the DPoP proof
    jwk NAME [VALUE]         the key in the proof's header
    sign KEY [ALG]           who signs the token, and with which algorithm whatever the header says
    prove KEY [ALG]          who makes the proof
    forge KEY                who signs the proof, with another's key in its header
    raw PART TEXT            raw text at the end of a JSON object: a second `iss`, say, or half of something
    cut PART START:LENGTH TEXT   characters of the finished token or proof replaced; a negative start counts from the end
    scheme, method, url, verifier TEXT;  again authorization|dpop TEXT;  needs PART VALUE

In a value, `@es` is the thumbprint of the agent's key `es`, and `@nonce-10` a nonce that was issued 10 seconds ago.
"""

import hmac
import json
import re
from base64 import urlsafe_b64encode
from typing import Any

from joserfc.jws import JWSRegistry

from strongdm_auth import ConfigurationError, Request, Requirement
from strongdm_auth.testing import DPoPKey, SigningKey
from strongdm_auth.testing.keys import access_token_hash

from .edits import Edit, apply, value_of
from .oracle import Asked
from .world import AGENTS, ALPHA, AUDIENCE, NOW, SIGNERS, URL

#: Nonces by their age in seconds; filled by the target that has a verifier which wants them.
NONCES: dict[str, str] = {}
_PLACEHOLDER = re.compile(r"@(nonce-?\d+|[a-z]+)")
_WIDEST = 64 * 1024
_RSA = ("RS256", "RS384", "RS512", "PS256", "PS384", "PS512")


class Knock:
    """What an input asks. `bound`: the token is bound to the agent's key `es`, and there is a proof."""

    def __init__(self, *, bound: bool, nonce: str | None = None) -> None:
        now = int(NOW)
        self.header: dict[str, Any] = {"typ": "at+jwt"}
        self.claims: dict[str, Any] = {
            "iss": ALPHA,
            "sub": "agent",
            "aud": AUDIENCE,
            "iat": now,
            "exp": now + 600,
            "jti": "a-token",
            "client_id": "agent",
            "scope": "read",
        }
        self.proof_header: dict[str, Any] = {"typ": "dpop+jwt"}
        self.proof: dict[str, Any] | None = None
        self.jwk: dict[str, Any] = {}
        self.signer, self.signer_alg = "ed", ""
        self.prover, self.forger, self.prover_alg = "es", "es", ""
        self.raw = {"header": "", "claims": "", "proof-header": "", "proof": ""}
        self.cuts: list[tuple[str, int, int, str]] = []
        self.scheme, self.method, self.url, self.verifier = "Bearer", "GET", URL, "plain"
        self.again: list[tuple[str, str]] = []
        self.needs: dict[str, Any] = {}
        if bound:
            self.scheme = "DPoP"
            self.claims["cnf"] = {"jkt": AGENTS["es"].thumbprint}
            self.proof = {"jti": "a-proof", "htm": "GET", "htu": URL, "iat": now}
            if nonce is not None:
                self.proof["nonce"] = nonce

    def edit(self, edit: Edit) -> None:
        """Lay one edit over it; what means nothing changes nothing."""
        edit = Edit(edit.head, _PLACEHOLDER.sub(_filled, edit.rest))
        name, _, rest = edit.rest.partition(" ")
        match edit.head:
            case "claims":
                apply(self.claims, edit)
            case "header":
                apply(self.header, edit)
            case "proof" if self.proof is not None:
                apply(self.proof, edit)
            case "proof-header":
                apply(self.proof_header, edit)
            case "jwk":
                apply(self.jwk, Edit(edit.head, edit.rest if " " in edit.rest else f"{edit.rest} null"))
            case "sign" if name in SIGNERS:
                self.signer, self.signer_alg = name, rest
            case "prove" if name in AGENTS:
                self.prover, self.forger, self.prover_alg = name, name, rest
            case "forge" if name in AGENTS:
                self.forger = name
            case "raw" if name in self.raw:
                self.raw[name] += rest
            case "cut":
                self._cut(name, rest)
            case "scheme" | "method" | "url" | "verifier":
                setattr(self, edit.head, edit.text)
            case "again":
                self.again.append((name, value if isinstance(value := value_of(rest), str) else rest))
            case "needs":
                self.needs[name] = value_of(rest)

    def _cut(self, part: str, rest: str) -> None:
        place, _, put = rest.partition(" ")
        if match := re.fullmatch("(-?[0-9]{1,5}):([0-9]{1,5})", place):
            text = value_of(put)
            self.cuts.append((part, int(match[1]), int(match[2]), text if isinstance(text, str) else put))

    def asked(self) -> Asked:
        """The request, as plain as it goes over the wire."""
        signer = SIGNERS[self.signer]
        header = {"alg": self.signer_alg or signer.alg, "kid": signer.kid, **self.header}
        token = self._finished("token", header, self.claims, ("header", "claims"), signer, self.signer_alg)
        authorization, dpop = [f"{self.scheme} {token}"], []
        if self.proof is not None:
            agent = AGENTS[self.prover]
            jwk = {name: value for name, value in {**agent.public_jwk, **self.jwk}.items() if value is not None}
            header = {"alg": self.prover_alg or agent.alg, "jwk": jwk, **self.proof_header}
            claims = {"ath": access_token_hash(token.encode("utf-8", "replace").decode()), **self.proof}
            parts = ("proof-header", "proof")
            dpop.append(self._finished("proof", header, claims, parts, AGENTS[self.forger], self.prover_alg))
        for name, value in self.again:
            {"authorization": authorization, "dpop": dpop}.get(name, []).append(value)
        return Asked(authorization, dpop, self.method, self.url)

    def requirement(self) -> Requirement:
        """What the route needs; nothing, where the input asks for nonsense."""
        try:
            return Requirement(**self.needs)
        except (ConfigurationError, TypeError, ValueError):
            self.needs = {}
            return Requirement()

    def _finished(
        self,
        part: str,
        header: dict[str, Any],
        claims: dict[str, Any],
        raw: tuple[str, str],
        key: SigningKey | DPoPKey,
        alg: str,
    ) -> str:
        segments = [
            _segment(json.dumps(members)[:-1] + self.raw[name] + "}")
            for members, name in zip((header, claims), raw, strict=True)
        ]
        compact = ".".join([*segments, _segment_of(_signature(key, alg or key.alg, ".".join(segments).encode()))])
        for name, start, length, put in self.cuts:
            if name == part:
                at = max(start + len(compact), 0) if start < 0 else start
                compact = (compact[:at] + put + compact[at + length :])[:_WIDEST]
        return compact


def request_of(asked: Asked) -> Request:
    """The same as a `Request`."""
    pairs = [("Authorization", value) for value in asked.authorization] + [("DPoP", value) for value in asked.dpop]
    return Request(asked.method, asked.url, pairs)


def _filled(match: re.Match[str]) -> str:
    name = match[1]
    if name in AGENTS:
        return AGENTS[name].thumbprint
    return NONCES.get(name.removeprefix("nonce"), match[0])


def _signature(key: SigningKey | DPoPKey, alg: str, signing_input: bytes) -> bytes:
    """A signature as an attacker or an issuer would make it: HS256 with the public key for a secret, none with nothing."""
    if alg.upper().startswith("HS"):
        private: Any = key.private_key
        return hmac.digest(private.as_pem(private=False), signing_input, "sha256")
    if alg.lower() == "none":
        return b""
    # A header may claim what the key cannot do.
    model = JWSRegistry.algorithms[alg if alg in _RSA and key.alg in _RSA else key.alg]
    return bytes(model.sign(signing_input, key.private_key))


def _segment(text: str) -> str:
    return _segment_of(text.encode("utf-8", "surrogateescape"))


def _segment_of(octets: bytes) -> str:
    return urlsafe_b64encode(octets).rstrip(b"=").decode("ascii")
