# SPDX-License-Identifier: MIT
"""The units that a user starts: systemd finds nothing wrong with them."""

import os
import pathlib
import re
import shutil
import subprocess

import pytest

import restante

ROOT = pathlib.Path(__file__).resolve().parents[2]
UNITS = ["restante-fetch.service", "restante-fetch@.service", "restante-fetch-once.service", "restante-fetch.timer"]


@pytest.fixture
def units(tmp_path):
    """As they are installed, but for the place of the program."""
    for name in UNITS:
        source = ROOT / "packaging" / name
        text = (source if source.exists() else source.with_name(f"{name}.in")).read_text()
        (tmp_path / name).write_text(text.replace("@BINDIR@/restante", str(pathlib.Path(restante.BINARY).resolve())))
    return tmp_path


def verify(folder, *names):
    """What systemd-analyze complains of, in these units and in those that they name."""
    if shutil.which("systemd-analyze") is None:
        pytest.skip("needs systemd-analyze")
    environment = dict(os.environ, XDG_RUNTIME_DIR=str(folder), SYSTEMD_UNIT_PATH=f"{folder}:/usr/lib/systemd/user")
    result = subprocess.run(["systemd-analyze", "verify", "--user", "--man=no", *(folder / name for name in names)],
                            env=environment, capture_output=True, text=True, timeout=60)
    return result.stdout + result.stderr + (f"status {result.returncode}" if result.returncode else "")


def test_systemd_understands_them(units):
    assert verify(units, *(name.replace("@.", "@home.") for name in UNITS)) == ""
    (units / "restante-fetch.timer").write_text("[Timer]\nOnStartupSek=1\n")
    assert "OnStartupSek" in verify(units, "restante-fetch.timer")  # it would say so


def test_the_hardening_of_the_manual(units):
    page = (ROOT / "docs/watching.md").read_text()
    settings = re.search(r"    \[Service\]\n((?:    \w+=\w+\n)+)", page)[1].replace("    ", "")
    assert "NoNewPrivileges=yes\n" in settings
    unit = units / "restante-fetch.service"
    unit.write_text(unit.read_text().replace("[Service]\n", f"[Service]\n{settings}"))
    assert verify(units, unit.name) == ""


def test_what_they_start_is_understood(units, tmp_path):
    """The command lines, as far as the one account that is not there."""
    for name in ("restante-fetch@.service", "restante-fetch.service", "restante-fetch-once.service"):
        text = (units / name).read_text()
        options = match[1] if (match := re.search(r'"RESTANTE_FETCH_OPTIONS=(.*)"', text)) else ""
        command = re.search(r"^ExecStart=(.*)$", text, re.MULTILINE)[1]
        words = command.replace("$RESTANTE_FETCH_OPTIONS", options).replace("%i", "home").split()
        result = subprocess.run(words, env={"HOME": str(tmp_path)}, stdin=subprocess.DEVNULL, capture_output=True,
                                timeout=60)
        assert result.returncode == 78, (words, result)
        # That is none of the mistakes which a new start might put right.
        assert "once" in name or re.search(r"^RestartPreventExitStatus=.*\b78\b", text, re.MULTILINE)
