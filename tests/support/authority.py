# SPDX-License-Identifier: MIT
"""A certificate authority for tests, made with openssl(1)."""

import itertools
import subprocess


class Authority:
    def __init__(self, folder):
        self.folder = folder
        self.counter = itertools.count(1)
        self.certificate = folder / "authority.pem"
        self.key = folder / "authority.key.pem"
        self._openssl("req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes",
                      "-keyout", self.key, "-out", self.certificate, "-days", "30",
                      "-subj", "/CN=Test authority")

    def _openssl(self, *arguments):
        subprocess.run(["openssl", *map(str, arguments)], check=True, capture_output=True)

    def issue(self, name, days=30, names=None, subject=None):
        """The paths of a certificate and its key; `names` as in subjectAltName."""
        number = next(self.counter)
        certificate = self.folder / f"certificate-{number}.pem"
        key = self.folder / f"key-{number}.pem"
        request = self.folder / f"request-{number}"
        extension = self.folder / f"extension-{number}"
        extension.write_text(f"subjectAltName={names or f'DNS:{name}'}\nbasicConstraints=CA:FALSE\n")
        self._openssl("req", "-new", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes",
                      "-keyout", key, "-out", request, "-subj", subject or f"/CN={name}")
        self._openssl("x509", "-req", "-in", request, "-CA", self.certificate, "-CAkey", self.key,
                      "-set_serial", str(1000 + number), "-days", str(days), "-out", certificate,
                      "-extfile", extension)
        key.chmod(0o600)
        return certificate, key
