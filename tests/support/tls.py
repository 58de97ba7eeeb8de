"""Certificates for servers of tests."""

import ssl
import subprocess
from pathlib import Path


def certificate(folder: Path, *, address: str = "127.0.0.1") -> Path:
    """A certificate for that address that signs itself, with its key, in one file; made with the `openssl` command."""
    folder.mkdir(parents=True, exist_ok=True)
    file, key = folder / "certificate.pem", folder / "key.pem"
    command = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2"]
    command += ["-subj", "/CN=test", "-addext", f"subjectAltName=IP:{address}", "-keyout", str(key), "-out", str(file)]
    subprocess.run(command, check=True, capture_output=True, timeout=30)
    file.write_text(file.read_text() + key.read_text())
    return file


def server_context(certificate: Path) -> ssl.SSLContext:
    """What a server with this certificate listens with."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    return context
