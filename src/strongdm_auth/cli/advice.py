"""What to change, for each reason: who has to, and how. One table beside `errors.DESCRIPTIONS`, as complete."""

_AGAIN = "Try again after the seconds in Retry-After; the request itself may be good."
_MALFORMED = "Send the token as the issuer gave it, whole and unchanged: `strongdm-auth inspect` shows where it breaks."
_NEW_PROOF = "Make a fresh proof for each request: `strongdm-auth call` does, and so does DPoPAuth."
_ISSUER_AWAY = "Run `strongdm-auth doctor` where the API runs: it shows what the issuer answers from there."

ADVICE: dict[str, str] = {
    "credentials.missing": "Send the token in the Authorization header: `Authorization: Bearer TOKEN`, or DPoP with "
    "a proof.",
    "credentials.scheme": "Use the scheme Bearer or DPoP; other schemes (Basic, ...) are not looked at.",
    "credentials.repeated": "Send one Authorization header with one token, and none in the URL. A proxy may have "
    "added one.",
    "credentials.malformed": "Send `Bearer`, a space, and the token, which has letters, digits and -._~+/ only.",
    "token.too_long": "Ask for fewer scopes or claims; or raise max_token_bytes, if the issuer's tokens are that long.",
    "token.malformed": _MALFORMED,
    "token.algorithm": "Have the issuer sign with one of `algorithms`; or name its own there, if it is asymmetric.",
    "token.type": "Send the access token, and no ID token, JWT-SVID, refresh token or proof.",
    "token.issuer": "Get the token from the issuer that the API trusts; or correct `issuer` and `realms`, to the "
    "letter.",
    "token.key_unknown": "Get a new token: the key is not in the issuer's set (rotated away, or another issuer's key).",
    "token.signature": "Get a new token: this one was changed, or was signed by somebody else.",
    "token.claims": "Have the issuer put in what the profile needs: iss, sub, exp and iat, each of its own JSON type.",
    "token.expired": "Get a new token. If it is new, the clocks differ: `strongdm-auth doctor` measures by how much.",
    "token.not_yet_valid": "Correct the clock of the API or of the issuer; `strongdm-auth doctor` measures the "
    "difference.",
    "token.audience": "Ask for the token with this API's audience (--audience, --resource); or correct `audience`.",
    "token.confirmation": "Ask for a token bound by DPoP (`--dpop`) or to a client certificate: no other binding can "
    "be checked here.",
    "token.opaque": "Get a JWT; or set introspection=fallback, so that the issuer is asked about tokens that are none.",
    "token.inactive": "Get a new token: the issuer says that this one was revoked, has expired, or is none of its own.",
    "token.revoked": "Get a new token: this one was revoked.",
    "token.introspection_mismatch": "Get a new token; and tell the issuer, whose two words on this one contradict "
    "each other.",
    "token.unbound": "Get a bound token: `strongdm-auth token --dpop`, or DPoPAuth. An unbound one is sent as Bearer.",
    "token.bound": "Send it as `Authorization: DPoP TOKEN` with a proof in the header DPoP: `strongdm-auth call` "
    "does both.",
    "token.key_mismatch": "Sign the proof with the key that the token was asked for with; or get a token with the "
    "present key.",
    "token.certificate_missing": "Call with the client certificate that the token was asked for with. If the client "
    "does, tell the API where it is: client_certificate.",
    "token.certificate_mismatch": "Call with the client certificate that the token was asked for with; or get a "
    "token with the present one.",
    "svid.needed": "Send the workload's JWT-SVID as Bearer: `strongdm-auth svid` gets one. An access token is for "
    "other routes.",
    "svid.malformed": "Send the JWT-SVID as it was given, whole and unchanged: `strongdm-auth inspect` shows where "
    "it breaks.",
    "svid.algorithm": "Have the issuer sign with one that SPIFFE allows: RS, ES or PS with 256, 384 or 512.",
    "svid.type": "Send a JWT-SVID: its sub is a SPIFFE ID, and it has no scope, no act and no cnf.",
    "svid.trust_domain": "Get the SVID from a trust domain that the API lets in; or add this one to `trust_domains`.",
    "svid.not_admitted": "Let a workload call that the route names; or add this one to its `spiffe_ids`.",
    "svid.unconfigured": "Set `audience` and `trust_domains` of the API: without them no workload can be let in.",
    "dpop.missing": "Send a proof in the header DPoP. If the client does, a proxy drops it on the way.",
    "dpop.repeated": "Send one DPoP header. A proxy or a retry may have added the second.",
    "dpop.too_long": "Leave out of the proof what does not belong there (certificates, long claims).",
    "dpop.malformed": _NEW_PROOF,
    "dpop.typ": "Set typ to dpop+jwt in the proof's header.",
    "dpop.algorithm": "Sign with one of `dpop_algorithms` (the challenge lists them) and a key of its kind, such as "
    "ES256.",
    "dpop.key": "Put the public key, and only that, into the proof's header (jwk).",
    "dpop.claims": "Put jti, htm, htu, iat and, with an access token, ath into the proof.",
    "dpop.htm_mismatch": _NEW_PROOF,
    "dpop.htu_mismatch": "Make the proof for the URL that is called. If it is, the API sees another: "
    "set public_url to what clients see, or have the server trust its proxy's headers.",
    "dpop.expired": "Make a fresh proof for each request. If it is fresh, the client's clock is behind.",
    "dpop.not_yet_valid": "Correct the client's clock: it is ahead.",
    "dpop.ath_mismatch": "Make the proof for the token that is sent: a renewed token needs a new proof.",
    "dpop.signature": _NEW_PROOF,
    "dpop.replayed": "Make a fresh proof for each request, and for each retry.",
    "dpop.nonce_missing": "Repeat the request with the nonce of the DPoP-Nonce header in the proof; DPoPAuth does.",
    "dpop.nonce_stale": "Take the newest DPoP-Nonce. If it is new, the workers have different secrets: set "
    "dpop_nonce_secret.",
    "scope.insufficient": "Ask for a token with the scopes that the challenge names; register the client for them "
    "first.",
    "realm.not_admitted": "Get a token from a realm that the route lets in; or widen the route's `realms`.",
    "delegation.missing": "Exchange the token, so that it says who acts (`act`, RFC 8693).",
    "delegation.forbidden": "Send the subject's own token: delegated ones are not let in here.",
    "delegation.malformed": "Tell the issuer: `act` must be an object with a `sub`.",
    "delegation.too_deep": "Delegate less deeply; or raise the route's `max_depth`.",
    "delegation.actor": "Let an agent act that the route allows; or add this one to `allowed_actors`.",
    "delegation.subject": "Act for a subject that the route allows.",
    "delegation.human": "Act for a human: the route lets in only what one is behind.",
    "step_up.acr": "Have the user authenticate by one of the `acr_values` in the challenge.",
    "step_up.max_age": "Have the user authenticate again.",
    "keys.unavailable": _ISSUER_AWAY,
    "keys.busy": _AGAIN,
    "introspection.unavailable": "Check client_id, client_secret and the issuer: `strongdm-auth doctor` asks it a "
    "question.",
    "introspection.busy": _AGAIN,
    "revocation.unavailable": _AGAIN,
    "policy.refused": "Ask whoever wrote the application's policy (`authorize`): the library has no objection.",
    "policy.unavailable": "Look into the application's policy (`authorize`): it failed, and its log says how.",
    "replay.unavailable": "Look after the replay store: `strongdm-auth doctor` asks it. Without it nobody gets in by "
    "DPoP.",
}
