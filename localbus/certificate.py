"""A self-signed certificate for the admin API, made once and kept beside the data.

ServiceBusAdministrationClient speaks https only; clients pass the certificate's path as
`connection_verify`. The key never leaves its file, which only its owner may read.
"""

from __future__ import annotations

import datetime
import ipaddress
import os
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from cryptography.x509 import DNSName, IPAddress

CERTIFICATE, KEY = "certificate.pem", "certificate.key"
_YEARS = 10


def ensure_certificate(folder: Path, host: str) -> tuple[Path, Path]:
    """The paths of certificate and key in `folder`, made when they are missing."""
    certificate, key = folder / CERTIFICATE, folder / KEY
    if not (certificate.exists() and key.exists()):
        _make(certificate, key, host)
    return certificate, key


def _make(certificate: Path, key: Path, host: str) -> None:
    # imported here: it takes longer than the rest of starting, and is needed once per folder
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec
    from cryptography.x509.oid import NameOID

    private = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "localbus")])
    hosts = {"localhost", "127.0.0.1", "::1", host}
    now = datetime.datetime.now(datetime.UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(private.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=365 * _YEARS))
        .add_extension(
            x509.SubjectAlternativeName([_name(each) for each in sorted(hosts)]),
            critical=False,
        )
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .sign(private, hashes.SHA256())
    )
    secret = private.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
    with os.fdopen(os.open(key, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as file:
        file.write(secret)
    certificate.write_bytes(made.public_bytes(serialization.Encoding.PEM))


def _name(host: str) -> DNSName | IPAddress:
    from cryptography.x509 import DNSName, IPAddress

    try:
        return IPAddress(ipaddress.ip_address(host))
    except ValueError:
        return DNSName(host)
