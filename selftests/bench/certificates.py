# SPDX-License-Identifier: Apache-2.0
"""Throw-away P-256 certificates for the measurements, made once and kept under build/."""
import datetime
import os

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID


def make(directory, name, common_name):
    """Files NAME.crt and NAME.key for @common_name; returns both paths."""
    paths = f"{directory}/{name}.crt", f"{directory}/{name}.key"
    if all(os.path.exists(p) for p in paths):
        return paths
    os.makedirs(directory, exist_ok=True)
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common_name)])
    now = datetime.datetime.utcnow()
    certificate = (x509.CertificateBuilder().subject_name(subject).issuer_name(subject).public_key(key.public_key())
                   .serial_number(x509.random_serial_number()).not_valid_before(now - datetime.timedelta(days=1))
                   .not_valid_after(now + datetime.timedelta(days=3650))
                   .add_extension(x509.SubjectAlternativeName([x509.DNSName(common_name)]), False)
                   .sign(key, hashes.SHA256()))
    encoding = serialization.Encoding.PEM
    with open(paths[0], "wb") as file:
        file.write(certificate.public_bytes(encoding))
    with open(paths[1], "wb") as file:
        file.write(key.private_bytes(encoding, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()))
    return paths
