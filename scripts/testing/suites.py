# SPDX-License-Identifier: MIT
"""The suites: each runs tests of one kind on one build and gives their cases."""

import functools
import json
import pathlib
import subprocess

import builds
import results
from results import Case, FAILED

# Rooms and kinds of unit tests: the names of Meson's suites.
MESON_SUITES = ("base", "pop3", "sasl", "smtp", "imap", "maildrop", "account", "net", "server", "reader", "cli", "dialogues",
                "crash", "fuzz", "examples")
PYTEST_SUITES = {"harness": "tests/harness", "wire": "tests/wire", "clients": "tests/clients",
                 "access": "tests/access", "accounts": "tests/accounts", "retrieve": "tests/fetch"}
NAMES = ("lint", *MESON_SUITES, *PYTEST_SUITES, "instructions", "conformance")
# Of a suite of pytest's; two suites run side by side.
WORKERS = 3
# Tests of these Meson suites run only with --full.
LONG = "long"


def lint():
    return _tap_command([builds.ROOT / "scripts/lint", "--tap"], "lint")


def instructions(build):
    return _tap_command([builds.ROOT / "scripts/check-instructions", "--build", build.folder, "--tap"],
                        "instructions")


def meson(build, wanted, full, program=None):
    """Unit tests. `wanted` names the Meson suites; empty: all of them. `program`: those of that name only."""
    build.configure()
    log = build.folder / "meson-logs/testlog.json"
    log.unlink(missing_ok=True)
    command = ["meson", "test", "-C", build.folder, "--no-rebuild", "--no-suite",
               LONG if not full else "none"]
    for suite in wanted:
        command += ["--suite", suite]
    if program:
        command.append(program)
    environment = dict(build.environment(), RESTANTE_FULL="1" if full else "")
    process = subprocess.run([str(part) for part in command], env=environment,
                             stdin=subprocess.DEVNULL, capture_output=True, text=True,
                             errors="replace")
    cases = []
    if log.exists():
        for line in log.read_text(errors="replace").splitlines():
            test = json.loads(line)
            found = _meson_cases(test)
            for case in found:
                case.again = functools.partial(meson, build, wanted, full,
                                               test["name"].rpartition(" / ")[2])
            cases += found
    if process.returncode != 0 and all(case.outcome != FAILED for case in cases):
        # Meson 1.0 exits with 0 where no test matches; whatever else it complains of is ours to show.
        cases.append(Case(f"unit:{build.name}/meson", FAILED, 0.0,
                          process.stdout[-4000:] + process.stderr[-4000:]))
    return cases


def _meson_cases(test):
    """A TAP program gives its tests, another program one test."""
    suites, separator, name = test["name"].rpartition(" / ")
    suite = suites.partition(":")[2].partition("+")[0] if separator else name
    prefix = "dialogue:" if name == "dialogues" else f"unit:{suite}/"
    cases, complete = results.read_tap(test["stdout"] or "", lambda tap: prefix + tap)
    text = (test["stdout"] or "")[-4000:] + test.get("stderr", "")[-8000:]
    for case in cases:
        case.seconds = test["duration"] / len(cases)
        if case.outcome == FAILED:
            case.text += "\n" + text
    good = test["result"] in ("OK", "SKIP", "EXPECTEDFAIL")
    if cases and good and complete:
        return cases
    if cases and any(case.outcome == FAILED for case in cases):
        return cases
    outcome = {"OK": results.PASSED, "SKIP": results.SKIPPED}.get(test["result"], FAILED)
    if cases and outcome == results.PASSED:
        outcome, text = FAILED, "fewer tests ran than were planned\n" + text
    return cases + [Case(f"unit:{suite}/{name}", outcome, test["duration"], text)]


def pytest(name, build, tests, junit, full, select=None, workers=WORKERS, mark=None):
    """Tests over a socket with the installed binary: those of a file or folder that `mark` selects. None: nothing
    was selected."""
    marks = " and ".join(f"({text})" for text in (
        mark, None if full else "not long",
        "sanitized" if build.profile == "sanitize.ini" else None) if text)
    report = junit.with_suffix(".raw")
    report.unlink(missing_ok=True)
    command = ["/usr/bin/python3", "-m", "pytest", "-q", "-p", "no:cacheprovider",
               "-c", builds.ROOT / "tests/pytest.ini", "--rootdir", builds.ROOT, "-m", marks,
               f"--junit-xml={report}", "-o", "junit_family=xunit1", tests]
    command += ["-n", workers] if workers != 0 else ["-p", "no:xdist"]
    if select:
        command += ["-k", select]
    process = subprocess.run(
        [str(part) for part in command], stdin=subprocess.DEVNULL, capture_output=True,
        text=True, errors="replace", cwd=builds.ROOT,
        env=dict(build.environment(), RESTANTE_FULL="1" if full else "",
                 RESTANTE_BYTECODE=str(junit.parent.parent / "bytecode")))
    if process.returncode == 5 and report.exists():
        report.unlink()
        return None if select or mark == "alone" else []
    found = list(_pytest_cases(name, report)) if report.exists() else []
    report.unlink(missing_ok=True)
    for case, test in found:
        case.again = functools.partial(_again, name, build, test, junit, full)
    cases = [case for case, _ in found]
    if process.returncode not in (0, 1) or not cases:
        cases.append(Case(f"{name}:{tests}", FAILED, 0.0,
                          process.stdout[-8000:] + process.stderr[-4000:]))
    return cases


def _again(name, build, test, junit, full):
    return pytest(name, build, test, junit, full, workers=0) or []


def _pytest_cases(name, report):
    """Cases, each with the name that pytest knows it by."""
    for item, case in results.read_junit(report):
        path = item.get("file") or item.get("classname").replace(".", "/") + ".py"
        test = f"{path}::{case.id}"
        case.id = f"{name}:{test}"
        # The socket's driver runs the same corpus as the engine's: one id for both.
        if dialogue := case.id.partition("test_dialogues.py::test_dialogue[")[2]:
            case.id = f"dialogue:{dialogue[:-1]}"
        yield case, test


def _tap_command(command, suite):
    process = subprocess.run([str(part) for part in command], stdin=subprocess.DEVNULL,
                             capture_output=True, text=True, errors="replace")
    cases, complete = results.read_tap(process.stdout, lambda name: f"{suite}:{name}")
    failed = any(case.outcome == FAILED for case in cases)
    if not complete or (process.returncode != 0) != failed:
        cases.append(Case(f"{suite}:{pathlib.Path(command[0]).name}", FAILED, 0.0,
                          process.stdout[-4000:] + process.stderr[-4000:]))
    for case in cases:
        case.again = functools.partial(_tap_command, command, suite)
    return cases
