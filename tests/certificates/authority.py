"""An authority, agents with TLS certificates of it, and what their thumbprints are by the word of another library."""

import ssl
from base64 import b64encode, urlsafe_b64encode
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import trustme
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

SPIFFE_ID = "spiffe://example.org/agents/reader"


@dataclass(frozen=True)
class Agent:
    """Who has the key of a certificate."""

    pem: str
    private_key: bytes

    @property
    def certificate(self) -> bytes:
        """Its DER."""
        return ssl.PEM_cert_to_DER_cert(self.pem)

    @property
    def fingerprint(self) -> bytes:
        return x509.load_pem_x509_certificate(self.pem.encode()).fingerprint(hashes.SHA256())

    @property
    def thumbprint(self) -> str:
        """RFC 8705 3.1."""
        return urlsafe_b64encode(self.fingerprint).rstrip(b"=").decode()

    @property
    def base64(self) -> str:
        return b64encode(self.certificate).decode()

    def written(self, folder: Path, name: str) -> tuple[Path, Path]:
        """The files with its certificate and its key."""
        certificate, key = folder / f"{name}.pem", folder / f"{name}.key"
        certificate.write_text(self.pem)
        key.write_bytes(self.private_key)
        return certificate, key


class Authority:
    """Who vouches for the agents and for the server; `folder` has what servers and clients read from files."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._ca = trustme.CA()
        self.path = folder / "ca.pem"
        self._ca.cert_pem.write_to_path(self.path)
        server = self._ca.issue_cert("localhost", "127.0.0.1")
        self.server_certificate, self.server_key = folder / "server.pem", folder / "server.key"
        server.private_key_pem.write_to_path(self.server_key)
        for pem in server.cert_chain_pems:
            pem.write_to_path(self.server_certificate, append=True)
        self.agent, self.other = self.issue("agent@example.org"), self.issue("other@example.org")
        self.workload = self._workload()

    def issue(self, name: str) -> Agent:
        issued = self._ca.issue_cert(name)
        return Agent(issued.cert_chain_pems[0].bytes().decode(), issued.private_key_pem.bytes())

    def _workload(self) -> Agent:
        """An X.509-SVID (SPIFFE X.509-SVID 2): no subject, and its ID as the one URI."""
        key = ec.generate_private_key(ec.SECP256R1())
        issuer_key = serialization.load_pem_private_key(self._ca.private_key_pem.bytes(), None)
        issuer = x509.load_pem_x509_certificate(self._ca.cert_pem.bytes())
        assert isinstance(issuer_key, ec.EllipticCurvePrivateKey)
        now = datetime.now(UTC)
        svid = (
            x509.CertificateBuilder()
            .subject_name(x509.Name([]))
            .issuer_name(issuer.subject)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - timedelta(hours=1))
            .not_valid_after(now + timedelta(hours=1))
            .add_extension(x509.SubjectAlternativeName([x509.UniformResourceIdentifier(SPIFFE_ID)]), critical=True)
            .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
            .add_extension(
                x509.AuthorityKeyIdentifier.from_issuer_subject_key_identifier(
                    issuer.extensions.get_extension_for_class(x509.SubjectKeyIdentifier).value
                ),
                critical=False,
            )
            .sign(issuer_key, hashes.SHA256())
        )
        encoding = serialization.Encoding.PEM
        private = key.private_bytes(encoding, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
        return Agent(svid.public_bytes(encoding).decode(), private)

    def client_context(self, agent: Agent | None = None) -> ssl.SSLContext:
        """How a client connects: it trusts the server, and shows the agent's certificate."""
        context = ssl.create_default_context(cafile=self.path)
        if agent is not None:
            context.load_cert_chain(*agent.written(self.folder, agent.fingerprint.hex()))
        return context


def self_signed(name: str) -> Agent:
    """One that nobody vouches for."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, name)])
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(hours=1))
        .not_valid_after(now + timedelta(hours=1))
        .sign(key, hashes.SHA256())
    )
    encoding = serialization.Encoding.PEM
    private = key.private_bytes(encoding, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    return Agent(certificate.public_bytes(encoding).decode(), private)
