# SPDX-License-Identifier: MIT
"""What comes from Debian: tools are installed, peers are only unpacked, so that no service starts."""

import os
import subprocess

PEERS = ("dovecot-core", "dovecot-pop3d")


def apt(*arguments, **options):
    environment = dict(os.environ, DEBIAN_FRONTEND="noninteractive", LC_ALL="C")
    return subprocess.run(["apt-get", "-q", "-o", "DPkg::Lock::Timeout=300",
                           "-o", "APT::Sandbox::User=root", *arguments],
                          env=environment, stdin=subprocess.DEVNULL, capture_output=True, text=True,
                          check=False, **options)


def apt_or_update(*arguments, **options):
    """A bare system may know no package lists, or old ones."""
    result = apt(*arguments, **options)
    if result.returncode != 0:
        apt("update")
        result = apt(*arguments, **options)
    if result.returncode != 0:
        raise SystemExit(f"bench/run: apt-get {' '.join(arguments)} failed:\n{result.stderr}")


def installed(name):
    query = subprocess.run(["dpkg-query", "-W", "-f", "${db:Status-Status}", name],
                           capture_output=True, text=True, check=False)
    return query.stdout.startswith("installed")


def install(*names):
    missing = [name for name in names if not installed(name)]
    if missing:
        print("bench/run: installing", *missing, flush=True)
        apt_or_update("install", "-y", "--no-install-recommends", "--no-remove", *missing)


def libraries_of(archive):
    """The shared libraries that a package needs, without the services and scripts that it also wants."""
    fields = subprocess.run(["dpkg-deb", "-f", archive, "Depends"], capture_output=True, text=True,
                            check=True).stdout
    names = [field.split("|")[0].split("(")[0].strip() for field in fields.split(",")]
    return [name for name in names if name.startswith("lib") and name != "libpam-runtime"]


def unpack_peers(cache):
    """The folder with the peers' file trees, as if they had been installed there."""
    tree = cache / "peers"
    archives = cache / "archives"
    if not (tree / "usr/sbin/dovecot").exists():
        archives.mkdir(parents=True, exist_ok=True)
        apt_or_update("download", *PEERS, cwd=archives)
        for name in PEERS:
            archive = sorted(archives.glob(f"{name}_*.deb"))[-1]
            subprocess.run(["dpkg-deb", "-x", archive, tree], check=True)
    for archive in archives.glob("*.deb"):
        install(*libraries_of(archive))
    return tree
