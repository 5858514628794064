"""A certificate for loopback, signed by an authority that is made for it: what `--tls` serves.

Made by the `openssl` command, because nothing in the Python standard library can sign a certificate.
"""

from __future__ import annotations

import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

DAYS = "30"
KEY = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-noenc")
OWNER_ONLY = 0o600


class CertificateFailed(Exception):
    """No certificate could be made."""


@dataclass(frozen=True, slots=True)
class Certificate:
    """Where the two files are."""

    authority: Path
    """What a client has to trust, as PEM."""
    server: Path
    """Certificate and key of the server, as PEM."""


def make(directory: Path) -> Certificate:
    """Make an authority and a certificate for 127.0.0.1 and localhost; raises CertificateFailed."""
    directory.mkdir(parents=True, exist_ok=True)
    found = Certificate(directory / "ca.pem", directory / "server.pem")
    authority_key, key, bare = (directory / name for name in ("ca.key", "server.key", "bare.pem"))
    for path in (authority_key, key, found.server):
        path.touch(mode=OWNER_ONLY)
    _openssl(
        *("-x509", *KEY, "-keyout", authority_key, "-out", found.authority),
        *("-subj", "/CN=tfy-last9 sandbox authority"),
        *("-addext", "basicConstraints=critical,CA:TRUE,pathlen:0"),
        *("-addext", "keyUsage=critical,keyCertSign,cRLSign"),
    )
    _openssl(
        *("-x509", *KEY, "-keyout", key, "-out", bare, "-subj", "/CN=localhost"),
        *("-CA", found.authority, "-CAkey", authority_key),
        *("-addext", "subjectAltName=IP:127.0.0.1,DNS:localhost"),
        *("-addext", "basicConstraints=critical,CA:FALSE"),
        *("-addext", "keyUsage=critical,digitalSignature"),
        *("-addext", "extendedKeyUsage=serverAuth"),
    )
    found.server.write_bytes(bare.read_bytes() + key.read_bytes())
    for path in (authority_key, key, bare):
        path.unlink()
    return found


def _openssl(*arguments: object) -> None:
    program = shutil.which("openssl")
    if program is None:
        raise CertificateFailed("--tls needs the `openssl` command: install it, or leave out --tls")
    command = [program, "req", "-batch", "-days", DAYS, *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603 - ours
    if done.returncode:
        raise CertificateFailed(f"openssl could not make a certificate: {done.stderr.strip()}")
