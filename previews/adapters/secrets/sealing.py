"""Sealing as kubeseal does it: whoever has the certificate can seal, and only the controller can open.

Each value is sealed with a session key of its own (AES-GCM), and that one with the
public key (RSA-OAEP), under a label which ties it to one namespace and name.
"""

import hashlib
import os
from dataclasses import dataclass
from datetime import datetime

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

SESSION_KEY_BYTES = 32
NONCE = bytes(12)
"""No nonce is needed twice: each session key seals one value."""
LENGTH_BYTES = 2
TAG_BYTES = 16
KEY_BITS_MIN = 2048


@dataclass(frozen=True, slots=True)
class SealingKey:
    """The public key in a controller's certificate."""

    key: rsa.RSAPublicKey

    @property
    def fingerprint(self) -> str:
        """Of the key: a certificate that was renewed around the same key opens what was sealed before."""
        encoded = self.key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
        return hashlib.sha256(encoded).hexdigest()

    def seal(self, value: bytes, *, namespace: str, name: str) -> bytes:
        """Another sequence of bytes each time. Opens nowhere but in this Secret of this namespace."""
        session_key = os.urandom(SESSION_KEY_BYTES)
        label = f"{namespace}/{name}".encode()
        sealed_key = self.key.encrypt(
            session_key, padding.OAEP(padding.MGF1(hashes.SHA256()), hashes.SHA256(), label)
        )
        length = len(sealed_key).to_bytes(LENGTH_BYTES, "big")
        return length + sealed_key + AESGCM(session_key).encrypt(NONCE, value, None)


def read_certificate(pem: bytes, now: datetime) -> SealingKey:
    """The first certificate in `pem`, which is the newest one that a controller has. Raises ValueError."""
    try:
        certificate = x509.load_pem_x509_certificates(pem)[0]
        key = certificate.public_key()
    except Exception as error:
        # The library's own kinds of failure are many, and each of them means the same.
        raise ValueError("it is no certificate in PEM form") from error
    if not isinstance(key, rsa.RSAPublicKey) or key.key_size < KEY_BITS_MIN:
        raise ValueError(f"it has no RSA key of at least {KEY_BITS_MIN} bits")
    expires_at = certificate.not_valid_after_utc
    if expires_at <= now:
        raise ValueError(f"it has expired at {expires_at:%Y-%m-%d %H:%M} UTC")
    return SealingKey(key)


def is_sealed(value: bytes) -> bool:
    """Whether these bytes have the shape of what `seal` makes, as far as one can tell who cannot open them."""
    length = int.from_bytes(value[:LENGTH_BYTES], "big")
    return length * 8 >= KEY_BITS_MIN and len(value) >= LENGTH_BYTES + length + TAG_BYTES
