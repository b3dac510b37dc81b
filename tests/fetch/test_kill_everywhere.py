# SPDX-License-Identifier: MIT
"""A sample of tests/fetch/kill-everywhere, which by itself takes minutes; all of it with --full."""

import os
import pathlib
import re
import subprocess

import pytest

import restante

PROGRAM = pathlib.Path(__file__).with_name("kill-everywhere")
FULL = bool(os.environ.get("RESTANTE_FULL"))


@pytest.mark.longest
@pytest.mark.parametrize("target, doubled", [
    ("maildir", False), ("mbox", False), ("imap", False), pytest.param("pipe", True, marks=pytest.mark.long),
    pytest.param("lmtp", True, marks=pytest.mark.long), pytest.param("smtp", True, marks=pytest.mark.long)])
def test_nothing_is_lost(target, doubled):
    # What an IMAP server may still be at work on is waited for, each time.
    every = 1 if FULL else 47 if target == "imap" else 13
    result = subprocess.run([PROGRAM, "--target", target, "--every", str(every), "--jobs", "2"],
                            env=dict(os.environ, RESTANTE=str(restante.BINARY)), capture_output=True,
                            text=True, timeout=600)
    assert result.returncode == 0, result.stdout + result.stderr
    *_, verdict = result.stdout.splitlines()
    wanted = r"0 lost, \d+ doubled" if doubled else "0 lost, 0 doubled"
    assert re.fullmatch(wanted, verdict), result.stdout
