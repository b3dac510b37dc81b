# SPDX-License-Identifier: MIT
"""The compiler's and the linker's precautions, read off the binary that is installed."""

import platform
import re
import subprocess

import pytest

import restante

pytestmark = pytest.mark.skipif(restante.SANITIZED, reason="the sanitizers' build is for tests")


def readelf(*options, path=restante.BINARY):
    return subprocess.run(["readelf", "--wide", *options, path], capture_output=True, text=True,
                          check=True, env={"LC_ALL": "C", "PATH": "/usr/bin"}).stdout


def test_position_independent():
    assert re.search(r"^\s*Type:\s+DYN \(Position-Independent Executable file\)", readelf("-h"),
                     re.M)


def test_relocations_are_read_only():
    assert re.search(r"^\s*GNU_RELRO\s", readelf("-l"), re.M)
    dynamic = readelf("-d")
    assert "BIND_NOW" in dynamic and re.search(r"FLAGS_1\)\s+Flags:.*\bNOW\b.*\bPIE\b", dynamic)
    assert "TEXTREL" not in dynamic


def test_nothing_is_writable_and_executable():
    headers = readelf("-l")
    flags = dict(re.findall(r"^\s*(GNU_STACK|LOAD)\s+(?:0x\S+\s+){5}([RWE ]{3})", headers, re.M))
    assert flags["GNU_STACK"] == "RW "
    loads = re.findall(r"^\s*LOAD\s+(?:0x\S+\s+){5}([RWE ]{3})", headers, re.M)
    assert loads and not [load for load in loads if "W" in load and "E" in load]


def test_no_search_path():
    assert not re.search(r"\((RPATH|RUNPATH)\)", readelf("-d"))


def imported():
    return set(re.findall(r"\sUND (\w+)", readelf("--dyn-syms")))


def test_stack_protector():
    assert "__stack_chk_fail" in imported()


def test_fortify():
    assert {"__snprintf_chk", "__vsnprintf_chk", "__memcpy_chk", "__read_chk"} <= imported()
    assert not {"gets", "sprintf", "vsprintf", "strcpy", "strcat"} & imported()


def note(path):
    return re.search(r"x86 feature: (.*)", readelf("-n", path=path))


@pytest.mark.skipif(platform.machine() != "x86_64", reason="CET is x86-64's")
def test_control_flow():
    """Where an indirect jump may land there is an endbr64; the note that says so for the whole program
    needs it in the C library's start files too, which Debian 12 builds without."""
    code = subprocess.run(["objdump", "-d", "--no-show-raw-insn", restante.BINARY],
                          capture_output=True, text=True, check=True).stdout
    first = dict(re.findall(r"^[0-9a-f]+ <(\w+)>:\n\s*[0-9a-f]+:\s+(\w+)", code, re.M))
    for function in ("main", "worker_run", "auth_run", "master_run", "sandbox_enter"):
        assert first[function] == "endbr64", function
    start = subprocess.run(["gcc", "-print-file-name=Scrt1.o"], capture_output=True, text=True,
                           check=True).stdout.strip()
    if note(start):
        assert note(restante.BINARY)[1] == "IBT, SHSTK"
