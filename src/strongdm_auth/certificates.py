"""Tokens that are bound to a client's TLS certificate (RFC 8705 3): whose certificate a request came with.

The certificate is told by the server that ended the TLS connection, or, where a proxy did, by one header that the deployment
names. Anybody can write a header, so it counts only if the peer is a proxy that the deployment names, too, and is taken off
requests that come from anybody else. A certificate is compared by the SHA-256 of its DER, as the token has it; whether
somebody vouches for it is no question here: the handshake proved who has its key, and the issuer chose to bind to it.
"""

import binascii
import hashlib
import logging
import re
from base64 import b64decode
from collections.abc import MutableMapping
from ipaddress import IPv4Network, IPv6Network, ip_address
from typing import Any
from urllib.parse import unquote_to_bytes

from .errors import InvalidToken
from .jose import encode_segment
from .request import Request, certificate_of_pem
from .settings import Settings

#: A self-signed certificate of 4096 bits with 20 names, in PEM with escapes, has 2,713 characters.
LONGEST_HEADER = 16_384
#: What proxies add to a request on behalf of another address; servers can be told to believe them.
_FORWARDED = ("x-forwarded-for", "forwarded", "x-real-ip")
#: One element of Envoy's X-Forwarded-Client-Cert: pairs, with quotes around values that need them.
_PAIR = re.compile(r'([A-Za-z]+)=("(?:[^"\\]|\\.)*"|[^;,"]*)(?:;|\Z)')
_SEPARATORS = re.compile(r'[\s,;="\[\]]+')

_log = logging.getLogger("strongdm_auth")


class Unreadable(ValueError):
    """A header that should hold a certificate holds something else."""


class Certificates:
    """How this deployment learns of client certificates; built once from the settings."""

    def __init__(self, settings: Settings) -> None:
        source = settings.client_certificate
        self._networks = tuple(each for each in settings.trusted_proxies if each != "unix")
        self._unix = "unix" in settings.trusted_proxies
        self._off = source == "off"
        #: The header's name in lower case; None where the server itself tells.
        self.header = source.removeprefix("header:").lower() if source.startswith("header:") else None
        #: The same as WSGI has it.
        self.environ_key = None if self.header is None else "HTTP_" + self.header.upper().replace("-", "_")

    def check(self, request: Request, thumbprint: str) -> None:
        """Hold a request's certificate against the one that its token is bound to (`cnf.x5t#S256`).

        Raises:
            InvalidToken: there is none that can be trusted, or it is another one.
        """
        if self._off:
            raise InvalidToken("token.confirmation")
        presented = self.thumbprint(request)
        if presented is None:
            raise InvalidToken("token.certificate_missing")
        if presented != thumbprint:
            raise InvalidToken("token.certificate_mismatch")

    def thumbprint(self, request: Request) -> str | None:
        """SHA-256 of the client's certificate (RFC 8705 3.1), base64url; None where nobody who may tells of one."""
        if self.header is None:
            certificate = request.certificate
            return None if certificate is None else thumbprint_of_der(certificate)
        values = request.values(self.header)
        if not any(values) or self.is_strangers(request):
            return None
        try:
            first, *others = values
            if others:  # one is the proxy's, and the other the client's
                raise Unreadable("it came twice")
            return read_header(first)
        except Unreadable as problem:
            _log.warning("no client certificate can be read from the header %s: %s", self.header, problem)
            return None

    def strip(self, environ: MutableMapping[str, Any], request: Request) -> None:
        """Take the header off what an app will see, unless a proxy of ours set it."""
        if self.environ_key is not None and self.is_strangers(request):
            environ.pop(self.environ_key, None)

    def is_strangers(self, request: Request) -> bool:
        """Whether the header, if there is one, was not set by a proxy of ours: then it must get no further."""
        if self.header is None or not request.values(self.header):
            return False
        peer = request.peer
        if peer == "":
            trusted = self._unix
        else:
            # A server that was told to believe X-Forwarded-For shows what is written there as the peer's address, and
            # anybody can write there. An address that a header names as well is no proof of who is connected.
            trusted = peer is not None and _lies_within(peer, self._networks) and not _is_named(peer, request)
        if not trusted:
            _log.warning(
                "the header %s was ignored: it came from %.60s, which is none of trusted_proxies or was taken from a header "
                "(start the server without its proxy support, and set public_url)",
                self.header,
                "a Unix socket" if peer == "" else repr(peer) if peer else "an address that is not known",
            )
        return not trusted


def thumbprint_of_der(certificate: bytes) -> str:
    """RFC 8705 3.1: base64url of the SHA-256 of the certificate's DER."""
    return encode_segment(hashlib.sha256(certificate).digest())


def read_header(value: str) -> str:
    """The thumbprint of the certificate in a header, in whichever of the usual ways a proxy writes it.

    RFC 9440 (`:base64:`), PEM with or without percent escapes (nginx, Apache, AWS), base64 of the DER (HAProxy, Caddy,
    Traefik), or Envoy's X-Forwarded-Client-Cert with its `Hash`.

    Raises:
        Unreadable: it holds no certificate, or more than one.
    """
    value = value.strip(" \t")
    if not value.isascii() or len(value) > LONGEST_HEADER:
        raise Unreadable("it is too long, or not ASCII")
    if re.match("(?:By|Hash|Cert|Chain|Subject|URI|DNS)=", value):
        return _read_xfcc(value)
    if len(value) > 2 and value.startswith(":") and value.endswith(":"):
        return thumbprint_of_der(_decoded(value[1:-1].encode()))
    text = unquote_to_bytes(value) if "%" in value else value.encode()
    if b"-----BEGIN" in text:
        certificate = certificate_of_pem(text.decode("latin-1"))
        if certificate is None:
            raise Unreadable("it is not the PEM of one certificate")
        return thumbprint_of_der(certificate)
    return thumbprint_of_der(_decoded(text))


def _decoded(text: bytes) -> bytes:
    try:
        certificate = b64decode(text, validate=True)
    except binascii.Error:
        raise Unreadable("it is not base64") from None
    if certificate[:1] != b"\x30":  # a SEQUENCE, as every certificate is (RFC 5280 4.1)
        raise Unreadable("it is not a certificate")
    return certificate


def _read_xfcc(value: str) -> str:
    """`By=...;Hash=...;Subject="..."`: the hash is that of the DER. A client may choose what stands in some of the others."""
    found, at = [], 0
    while at < len(value):
        pair = _PAIR.match(value, at)
        if pair is None:
            raise Unreadable("it has several elements, or is malformed")
        if pair[1] == "Hash":
            found.append(pair[2])
        at = pair.end()
    if len(found) != 1 or not re.fullmatch("[0-9a-fA-F]{64}", found[0]):
        raise Unreadable("it has no Hash, or more than one")
    return encode_segment(bytes.fromhex(found[0]))


def _is_named(peer: str, request: Request) -> bool:
    return any(
        address == peer or address.startswith(f"{peer}:")
        for name in _FORWARDED
        for value in request.values(name)
        for address in _SEPARATORS.split(value)
    )


def _lies_within(peer: str, networks: tuple[IPv4Network | IPv6Network, ...]) -> bool:
    if _SEPARATORS.search(peer):  # as an IPv6 zone may hold; `_is_named` would not find it in the header it came from
        return False
    try:
        address = ip_address(peer)
    except ValueError:
        return False
    address = getattr(address, "ipv4_mapped", None) or address
    return any(address in network for network in networks)
