"""Certificates and keys in PEM, and what is wrong with those that are not."""

from __future__ import annotations

import os
import re
import ssl
from pathlib import Path

CERTIFICATE, KEY = "CERTIFICATE", r"(?:[A-Z0-9]+ )*PRIVATE KEY"
JAVA_STORE, DER = b"\xfe\xed\xfe\xed", b"\x30"  # how a JKS begins; a PKCS12 is a sequence in DER


class Unusable(ValueError):
    """`expected` is for the message; neither has a word of what is secret."""

    def __init__(self, what: str, expected: str) -> None:
        super().__init__(what)
        self.expected = expected


class BadPassword(Unusable):
    pass


def read(path: str, kind: str | None, *, with_key: bool) -> str:
    """The text of a PEM file. Raises Unusable."""
    try:
        raw = Path(path).read_bytes()
    except OSError as error:
        raise Unusable(f" cannot be read: {error.strerror}", "a PEM file") from error
    found = "JKS" if raw.startswith(JAVA_STORE) else "PKCS12" if raw.startswith(DER) else kind or "PEM"
    if found != "PEM":
        raise Unusable(f" is {found}, which is not supported", f"PEM, as made by: {_made_by(path, found, with_key)}")
    return raw.decode("latin-1")  # around the blocks there may be words in any encoding


def _made_by(path: str, kind: str, with_key: bool) -> str:
    stem = Path(path).with_suffix("")
    if not with_key:
        return f"keytool -list -rfc -keystore {path} > {stem}.pem"
    if kind == "PKCS12":
        return f"openssl pkcs12 -in {path} -out {stem}.pem"
    between = f"{stem}.p12"
    return (
        f"keytool -importkeystore -srckeystore {path} -destkeystore {between} -deststoretype PKCS12 && "
        f"openssl pkcs12 -in {between} -out {stem}.pem"
    )


def blocks(text: str, label: str) -> str:
    """Those of that label, each on lines of its own: YAML and variables may have made blanks of the ends of lines."""
    found = re.finditer(rf"-----BEGIN ({label})-----(.+?)-----END \1-----", text, re.DOTALL)
    return "".join(f"-----BEGIN {each[1]}-----\n{_lines(each[2])}\n-----END {each[1]}-----\n" for each in found)


def _lines(body: str) -> str:
    if ":" in body:  # headers of an encrypted key in OpenSSL's own old form
        return body.strip()
    return "\n".join(re.findall(r".{1,64}", "".join(body.split())))


def trust(context: ssl.SSLContext, text: str) -> None:
    """Raises Unusable."""
    certificates = blocks(text, CERTIFICATE)
    if not certificates:
        raise Unusable(" has no certificate", "PEM, with -----BEGIN CERTIFICATE-----")
    try:
        context.load_verify_locations(cadata=certificates)
    except (ssl.SSLError, ValueError) as error:
        raise Unusable(" has a certificate that cannot be read", "PEM") from error
    context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN  # whatever stands in it is trusted, as in Java's stores


def bear(context: ssl.SSLContext, chain: str, key: str, password: str | None) -> None:
    """Show this certificate to brokers. Raises Unusable, BadPassword."""
    certificates, secret = blocks(chain, CERTIFICATE), blocks(key, KEY)
    if not certificates:
        raise Unusable(" has no certificate", "PEM, with -----BEGIN CERTIFICATE-----")
    if not secret:
        raise Unusable(" has no key", "PEM, with -----BEGIN PRIVATE KEY-----")
    asked: list[bool] = []

    def answer() -> str:
        asked.append(True)
        return password or ""

    file = os.memfd_create("key")  # OpenSSL reads keys from files alone, and this one is on no disk
    try:
        os.write(file, (certificates + secret).encode())
        context.load_cert_chain(f"/proc/self/fd/{file}", password=answer)
    except (ssl.SSLError, ValueError) as error:
        raise _bad_key(error, bool(asked), password) from error
    finally:
        os.close(file)


def _bad_key(error: Exception, encrypted: bool, password: str | None) -> Unusable:
    if getattr(error, "reason", None) == "KEY_VALUES_MISMATCH":
        return Unusable(" has a key that does not fit its certificate", "the certificate's own key")
    if encrypted and password is None:
        return BadPassword(" has an encrypted key", "its password in spring.kafka.ssl.key-password")
    if encrypted:
        return BadPassword(" does not open the key", "the password of the key")
    return Unusable(" has a key or a certificate that cannot be read", "PEM")
