"""Ed25519 keys as text, in the one form that is written here."""

from __future__ import annotations

import hashlib

from cryptography.exceptions import InternalError, UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_pem_private_key,
    load_pem_public_key,
)

_NOT_READ = (ValueError, TypeError, UnsupportedAlgorithm, InternalError)
"""What loading raises for bytes that are no key. (The last one: where they say that it is of a longer kind.)"""


def keyid_of(key: Ed25519PublicKey) -> str:
    """The SHA-256 of the key's SubjectPublicKeyInfo (DER), in hex."""
    return hashlib.sha256(key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)).hexdigest()


def write_public(key: Ed25519PublicKey) -> bytes:
    return key.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)


def write_private(key: Ed25519PrivateKey) -> bytes:
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())


def read_public(content: bytes) -> Ed25519PublicKey | None:
    """None: it is no such key."""
    try:
        key = load_pem_public_key(content)
    except _NOT_READ:
        return None
    return key if isinstance(key, Ed25519PublicKey) else None


def read_private(content: bytes) -> Ed25519PrivateKey | None:
    """None: it is no such key, or there is a password on it."""
    try:
        key = load_pem_private_key(content, None)
    except _NOT_READ:
        return None
    return key if isinstance(key, Ed25519PrivateKey) else None
