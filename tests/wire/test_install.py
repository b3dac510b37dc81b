# SPDX-License-Identifier: MIT
"""What `meson install` puts in place, and that a stranger's program can use it."""

import os
import pathlib
import re
import subprocess

import pytest

import restante

INSTALLED = pathlib.Path(restante.BINARY).resolve().parent.parent.parent

PROGRAM = """
#include <pop3/pop3.h>
#include <stdio.h>
#include <stdlib.h>

int main(void)
{
    static const struct pop3_server_options options = {.greeting = "hello"};
    static const struct pop3_server_connection connection = {.user_allowed = 1};
    static char output[4096];
    struct pop3_server *session = pop3_server_init(malloc(pop3_server_size()), &options, &connection);
    struct pop3_server_event event;
    pop3_server_next(session, &event);
    if (event.type == POP3_SERVER_LEND) {
        pop3_server_lent(session, output, sizeof output);
        pop3_server_next(session, &event);
    }
    return event.type == POP3_SERVER_WRITE && fwrite(event.u.write.data, event.u.write.size, 1, stdout) == 1
               ? 0 : 1;
}
"""


@pytest.mark.parametrize("pattern", [
    "usr/bin/restante", "usr/lib/libpop3.so", "usr/include/pop3/pop3.h",
    "usr/include/pop3/server.h", "usr/include/pop3/reply.h", "usr/lib/pkgconfig/pop3.pc",
    "usr/share/man/man1/restante.1", "usr/share/man/man5/restante.conf.5",
    "usr/share/man/man1/restante-user.1", "usr/share/man/man1/restante-deliver.1",
    "**/restante.conf", "usr/lib/systemd/system/restante.service"])
def test_is_there_and_readable(pattern):
    found = list(INSTALLED.glob(pattern))
    assert found, f"{pattern} is not installed below {INSTALLED}"
    for path in found:
        assert path.resolve().stat().st_mode & 0o004


def test_the_unit_waits_for_readiness():
    text = next(INSTALLED.glob("usr/lib/systemd/system/restante.service")).read_text()
    assert re.search(r"^Type=notify(-reload)?$", text, re.MULTILINE)
    assert re.search(r"^ExecStart=/usr/bin/restante serve -c /etc/restante/restante\.conf$", text,
                     re.MULTILINE)


def test_a_program_of_others(tmp_path):
    """With nothing but what pkg-config says of the installed library, as C99 and as C17."""
    environment = dict(os.environ, PKG_CONFIG_SYSROOT_DIR=str(INSTALLED),
                       PKG_CONFIG_LIBDIR=str(INSTALLED / "usr/lib/pkgconfig"))
    flags = subprocess.run(["pkg-config", "--cflags", "--libs", "pop3"], env=environment,
                           capture_output=True, text=True, check=True).stdout.split()
    (tmp_path / "program.c").write_text(PROGRAM)
    for standard in ("c99", "c17"):
        subprocess.run(["gcc", f"-std={standard}", "-Wall", "-Wextra", "-Wpedantic", "-Werror",
                        "program.c", "-o", "program", *flags], cwd=tmp_path, check=True)
        said = subprocess.run([tmp_path / "program"], capture_output=True, check=True,
                              env={"LD_LIBRARY_PATH": str(INSTALLED / "usr/lib")}).stdout
        assert said == b"+OK hello\r\n"


def test_the_library_exports_its_own_names_only():
    names = subprocess.run(["nm", "-D", "--defined-only", "--format=posix",
                            INSTALLED / "usr/lib/libpop3.so"], capture_output=True, text=True,
                           check=True).stdout.split("\n")
    exported = [line.split()[0] for line in names if line]
    assert "pop3_server_init" in exported
    assert [name for name in exported if not name.startswith("pop3_")] == []


def test_the_binary_is_hardened():
    facts = subprocess.run(["readelf", "-W", "-h", "-l", "-d", restante.BINARY],
                           capture_output=True, text=True, check=True).stdout
    assert "DYN (Position-Independent Executable file)" in facts
    assert "BIND_NOW" in facts and "GNU_RELRO" in facts
    assert re.search(r"GNU_STACK .* RW ", facts)
    assert "RPATH" not in facts and "RUNPATH" not in facts
