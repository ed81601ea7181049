"""A certificate authority of a test's own, for servers on this machine."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID

HOUR = timedelta(hours=1)


class Authority:
    """Vouches for what it issues, by way of one authority in between, as public ones do."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._now = datetime.now(UTC)
        root = ec.generate_private_key(ec.SECP256R1())
        self._key = ec.generate_private_key(ec.SECP256R1())
        root_file = self._made("root", root, "root", root, is_ca=True)
        self._above = self._made("between", self._key, "root", root, is_ca=True)
        self.file = directory / "authority.pem"
        self.file.write_bytes(root_file)

    def issue(self, *names: str, begins: timedelta = -HOUR, ends: timedelta = HOUR) -> Path:
        """A key and a certificate with its chain, for a server that has these names."""
        key = ec.generate_private_key(ec.SECP256R1())
        made = self._made(
            names[0], key, "between", self._key, names=names, begins=begins, ends=ends
        )
        return self._write(key, made + self._above)

    def self_signed(self, *names: str) -> Path:
        """The same, for which nobody vouches."""
        key = ec.generate_private_key(ec.SECP256R1())
        return self._write(key, self._made(names[0], key, names[0], key, names=names))

    def _made(
        self,
        subject: str,
        key: ec.EllipticCurvePrivateKey,
        issuer: str,
        issuer_key: ec.EllipticCurvePrivateKey,
        *,
        names: Sequence[str] = (),
        is_ca: bool = False,
        begins: timedelta = -HOUR,
        ends: timedelta = HOUR,
    ) -> bytes:
        built = (
            x509.CertificateBuilder()
            .subject_name(_name(subject))
            .issuer_name(_name(issuer))
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(self._now + begins)
            .not_valid_after(self._now + ends)
            .add_extension(x509.BasicConstraints(ca=is_ca, path_length=None), critical=True)
        )
        if names:
            listed = x509.SubjectAlternativeName([x509.DNSName(name) for name in names])
            built = built.add_extension(listed, critical=False)
        return built.sign(issuer_key, hashes.SHA256()).public_bytes(Encoding.PEM)

    def _write(self, key: ec.EllipticCurvePrivateKey, certificates: bytes) -> Path:
        secret = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
        file = self._directory / f"server-{len(list(self._directory.iterdir()))}.pem"
        file.write_bytes(secret + certificates)
        return file


def _name(text: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text)])
