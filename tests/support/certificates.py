"""An authority of the test's own: what brokers and clients show, as PEM files."""

from __future__ import annotations

from pathlib import Path

import trustme
from cryptography.hazmat.primitives import serialization


class Authority:
    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self._ca = trustme.CA()
        self.trusted = self._written("trusted.pem", self._ca.cert_pem.bytes())

    def certificate(self, *names: str, password: str = "") -> Path:
        """A key, its certificate and those above, in one file. Names are hosts, addresses, or whoever it is."""
        issued = self._ca.issue_cert(*names, common_name=names[0])
        key = serialization.load_pem_private_key(issued.private_key_pem.bytes(), None)
        locked = serialization.BestAvailableEncryption(password.encode()) if password else None
        text = key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,  # the only one that Kafka reads
            locked or serialization.NoEncryption(),
        )
        chain = b"".join(block.bytes() for block in issued.cert_chain_pems)
        return self._written(f"{names[0]}{'-locked' if password else ''}.pem", text + chain)

    def _written(self, name: str, content: bytes) -> Path:
        path = self.directory / name
        path.write_bytes(content)
        return path
