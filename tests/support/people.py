# SPDX-License-Identifier: MIT
"""System users for tests that need real ones: made with useradd(8), gone afterwards."""

import contextlib
import fcntl
import os
import subprocess


@contextlib.contextmanager
def _one_at_a_time():
    """useradd(8) gives up where another one is at work."""
    with open(f"/var/tmp/restante-people-{os.geteuid()}.lock", "w", encoding="utf-8") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _run(*command, **options):
    subprocess.run(command, check=True, capture_output=True, **options)


@contextlib.contextmanager
def system_user(name, password, home="/nonexistent"):
    """Its uid is 1000 or above."""
    with _one_at_a_time():
        subprocess.run(["userdel", name], capture_output=True, check=False)  # of a test that was killed
        _run("useradd", "--no-create-home", "--home-dir", str(home), "--shell", "/usr/sbin/nologin",
             "--no-log-init", name)
        _run("chpasswd", input=f"{name}:{password}\n".encode())
    try:
        yield name
    finally:
        with _one_at_a_time():
            subprocess.run(["userdel", name], capture_output=True, check=False)


def expire(name):
    """The account, from now on."""
    with _one_at_a_time():
        _run("usermod", "--expiredate", "1", name)
