"""What the sealed-secrets controller has: keys, a certificate for each, and the Secrets that it opens."""

import base64
from datetime import UTC, datetime, timedelta
from functools import cache

import yaml
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

NOW = datetime(2026, 11, 22, 17, tzinfo=UTC)


@cache
def private_key(number: int) -> rsa.RSAPrivateKey:
    """The same one for each test of a run: it takes a while to find."""
    assert number >= 0
    return rsa.generate_private_key(public_exponent=65537, key_size=2048)


def private_pem(number: int) -> bytes:
    return private_key(number).private_bytes(
        Encoding.PEM, PrivateFormat.TraditionalOpenSSL, NoEncryption()
    )


def certificate(number: int, *, expires_at: datetime = NOW + timedelta(days=3650)) -> bytes:
    """As the controller makes it: its own authority, and nobody's name on it."""
    key = private_key(number)
    name = x509.Name([])
    made = (
        x509.CertificateBuilder(subject_name=name, issuer_name=name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(expires_at - timedelta(days=3650))
        .not_valid_after(expires_at)
        .sign(key, hashes.SHA256())
    )
    return made.public_bytes(Encoding.PEM)


def unseal(manifest: str, number: int) -> dict[str, str]:
    """Raises ValueError for what was not sealed for this key, namespace and name."""
    document = yaml.safe_load(manifest)
    metadata = document["metadata"]
    label = f"{metadata['namespace']}/{metadata['name']}".encode()
    oaep = padding.OAEP(padding.MGF1(hashes.SHA256()), hashes.SHA256(), label)
    opened = {}
    for entry, text in document["spec"]["encryptedData"].items():
        sealed = base64.b64decode(text)
        end = 2 + int.from_bytes(sealed[:2], "big")
        session_key = private_key(number).decrypt(sealed[2:end], oaep)
        opened[entry] = AESGCM(session_key).decrypt(bytes(12), sealed[end:], None).decode()
    return opened
