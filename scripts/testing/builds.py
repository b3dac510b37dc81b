# SPDX-License-Identifier: MIT
"""The builds that are tested: release with gcc, and clang with the sanitizers."""

import os
import pathlib
import shutil
import subprocess

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
SANITIZER_ENVIRONMENT = {
    "ASAN_OPTIONS": "detect_leaks=1:abort_on_error=0:exitcode=99:allocator_may_return_null=1"
                    ":detect_stack_use_after_return=1",
    "UBSAN_OPTIONS": "print_stacktrace=1:halt_on_error=1",
}


class CommandFailed(Exception):
    pass


def run(command, **options):
    """Runs a command to its end; its output goes nowhere unless it fails."""
    result = subprocess.run([str(part) for part in command], stdin=subprocess.DEVNULL,
                            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                            errors="replace", **options)
    if result.returncode != 0:
        tail = "\n".join(result.stdout.splitlines()[-200:])
        raise CommandFailed(f"{' '.join(map(str, command))}: exit {result.returncode}\n{tail}")
    return result.stdout


class Build:
    """One configuration of the tree; `install` is where its programs lie as `meson install` puts them."""

    def __init__(self, name, profile, folder, install, source=ROOT):
        self.name = name
        self.profile = profile
        self.folder = pathlib.Path(folder)
        self.install = pathlib.Path(install)
        self.source = source

    @property
    def binary(self):
        return self.install / "usr/bin/restante"

    def configure(self):
        if (self.folder / "build.ninja").exists():
            return
        shutil.rmtree(self.folder, ignore_errors=True)
        run(["meson", "setup", "--prefix", "/usr", "--sysconfdir", "/etc", "--libdir", "lib",
             "--native-file", self.source / "scripts/profiles" / self.profile,
             self.folder, self.source])

    def compile(self, *targets):
        self.configure()
        run(["ninja", "-C", self.folder, *targets])

    def install_tree(self):
        """Where unprivileged tests reach it, whatever folder the clone lies in."""
        shutil.rmtree(self.install, ignore_errors=True)
        old = os.umask(0o022)
        try:
            run(["meson", "install", "-C", self.folder, "--no-rebuild", "--quiet",
                 "--destdir", self.install])
        finally:
            os.umask(old)

    def environment(self):
        environment = dict(os.environ, RESTANTE=str(self.binary), LC_ALL="C.UTF-8",
                           RESTANTE_BUILD=str(self.folder))
        if self.profile == "sanitize.ini":
            environment.update(SANITIZER_ENVIRONMENT, RESTANTE_SANITIZED="1")
        return environment
