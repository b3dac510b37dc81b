# SPDX-License-Identifier: MIT
"""What comes from Debian: tools are installed, peers are only unpacked, so that no service starts.

`scripts/packages.py PACKAGE ...` unpacks peers where the tests look for them."""

import fcntl
import os
import stat
import subprocess
import sys
from pathlib import Path

TEST_PEERS = Path(f"/var/tmp/restante-peers-{os.geteuid()}")


def apt(*arguments, **options):
    environment = dict(os.environ, DEBIAN_FRONTEND="noninteractive", LC_ALL="C")
    as_root = [] if os.geteuid() == 0 or arguments[0] == "download" else ["sudo", "-n"]
    return subprocess.run([*as_root, "apt-get", "-q", "-o", "DPkg::Lock::Timeout=300",
                           "-o", "APT::Sandbox::User=root", "-o", "Acquire::Retries=3", *arguments],
                          env=environment, stdin=subprocess.DEVNULL, capture_output=True, text=True,
                          check=False, **options)


def apt_or_update(*arguments, **options):
    """A bare system may know no package lists, or old ones."""
    result = apt(*arguments, **options)
    if result.returncode != 0:
        apt("update")
        result = apt(*arguments, **options)
    if result.returncode != 0:
        raise SystemExit(f"apt-get {' '.join(arguments)} failed:\n{result.stderr}")


def installed(name):
    query = subprocess.run(["dpkg-query", "-W", "-f", "${db:Status-Status}", name],
                           capture_output=True, text=True, check=False)
    return query.stdout.startswith("installed")


def install(*names):
    missing = [name for name in names if not installed(name)]
    if missing:
        print("installing", *missing, flush=True)
        apt_or_update("install", "-y", "--no-install-recommends", "--no-remove", *missing)


def libraries_of(archive):
    """The shared libraries that a package needs, without the services and scripts that it also wants."""
    fields = subprocess.run(["dpkg-deb", "-f", archive, "Depends"], capture_output=True, text=True,
                            check=True).stdout
    names = [field.split("|")[0].split("(")[0].split(":")[0].strip() for field in fields.split(",")]
    return {name for name in names if name.startswith("lib") and name != "libpam-runtime"}


def unpack(cache, names):
    """The folder with the file trees of these packages, and of libraries that are not installed, as if
    they had been installed there."""
    cache.mkdir(mode=0o755, parents=True, exist_ok=True)
    status = cache.lstat()
    if not stat.S_ISDIR(status.st_mode) or status.st_uid != os.geteuid():
        raise SystemExit(f"{cache} belongs to somebody else: programs from there are not run")
    handle = os.open(cache, os.O_RDONLY)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX)
        tree, complete = cache / "peers", cache / "complete"
        if not complete.exists() or complete.read_text() != " ".join(names):
            unpack_all(cache / "archives", tree, names)
            complete.write_text(" ".join(names))
        return tree
    finally:
        os.close(handle)


def unpack_all(archives, tree, names):
    archives.mkdir(exist_ok=True)
    tree.mkdir(mode=0o755, exist_ok=True)
    for name in ("bin", "lib", "sbin"):
        if not (tree / name).is_symlink():
            (tree / name).symlink_to(f"usr/{name}")
        (tree / "usr" / name).mkdir(parents=True, exist_ok=True)
    wanted, done = list(names), set()
    while wanted:
        print("unpacking", *wanted, flush=True)
        apt_or_update("download", *wanted, cwd=archives)
        libraries = set()
        for name in wanted:
            archive = max(archives.glob(f"{name}_*.deb"), key=lambda path: path.stat().st_mtime)
            extract(archive, tree)
            libraries |= libraries_of(archive)
        done |= set(wanted)
        wanted = sorted(name for name in libraries - done if not installed(name))


def extract(archive, tree):
    """Debian's /lib is a link to /usr/lib: what a package has in /lib goes there."""
    with subprocess.Popen(["dpkg-deb", "--fsys-tarfile", archive], stdout=subprocess.PIPE) as reader:
        subprocess.run(["tar", "-x", "--keep-directory-symlink", "--no-same-owner", "-C", tree],
                       stdin=reader.stdout, check=True)


def as_if_installed(tree, mounts=""):
    """Runs what follows where the unpacked tree lies over /usr, for itself and its children alone.
    `mounts`: shell commands that change more before that."""
    script = f'{mounts}\nmount -t overlay overlay -o "lowerdir={tree}/usr:/usr" /usr && exec "$@"'
    return ["unshare", "--mount", "sh", "-e", "-c", script, "sh"]


if __name__ == "__main__":
    unpack(TEST_PEERS, sys.argv[1:])
