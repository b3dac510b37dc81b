# SPDX-License-Identifier: MIT
"""Debian's testssl.sh against both doors: protocols, ciphers, vulnerabilities."""

import json

import pytest

import authority
import clients
from clients import STLS, TLS

SECTIONS = ["--protocols", "--standard", "--vulnerable"]
HARMLESS = ("OK", "INFO", "DEBUG", "LOW")
# What it must have looked at: of each section the first and the last, and what the name of the section means.
LOOKED_AT = {"SSLv2", "TLS1", "TLS1_3", "cipherlist_NULL", "cipherlist_3DES_IDEA", "cipherlist_STRONG",
             "heartbleed", "CCS", "ROBOT", "secure_renego", "secure_client_renego", "CRIME_TLS",
             "POODLE_SSL", "fallback_SCSV", "SWEET32", "FREAK", "DROWN", "LOGJAM", "BEAST", "LUCKY13",
             "RC4"}
# id -> why it is no weakness of ours. One that is not found any more fails the test, too.
EXCUSED = {"engine_problem": "says what Debian's openssl(1), the client here, has been built without"}


@pytest.mark.longest
@pytest.mark.timeout(600)
# It takes long, and the other door has the same TLS behind it.
@pytest.mark.parametrize("security", [TLS, pytest.param(STLS, marks=pytest.mark.long)])
def test_no_finding_above_low(world, security):
    ours = authority.Authority(world.folder)
    certificate, key = ours.issue("localhost")
    world.own(key)
    world.configure(pop3={"listen-tls": "127.0.0.1:0", "plaintext-login": "never"},
                    tls={"certificate": certificate, "key": key},
                    limits={"connections-per-address": "1000"})
    reader = clients.Reader(world, world.start(), security, ours.certificate)
    report = reader.home / "report.json"
    starttls = ["--starttls", "pop3"] if security == STLS else []
    result = reader.run("testssl", "--quiet", "--color", "0", "--warnings", "off", "--nodns", "none",
                        "--add-ca", ours.certificate, "--ip", "127.0.0.1", "--jsonfile", report,
                        *SECTIONS, *starttls, f"localhost:{reader.port}", timeout=580)
    print(result.stdout.decode(errors="replace"), result.stderr.decode(errors="replace"))
    findings = {found["id"]: found for found in json.loads(report.read_text())}
    assert LOOKED_AT <= findings.keys()
    assert findings["TLS1_3"]["severity"] == findings["TLS1_2"]["severity"] == "OK"
    serious = {name: found for name, found in findings.items() if found["severity"] not in HARMLESS}
    assert serious.keys() == EXCUSED.keys(), serious
