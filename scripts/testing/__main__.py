# SPDX-License-Identifier: MIT
"""scripts/test: builds everything, runs all tests, ends with `N passed, N failed, N skipped`."""

import argparse
import concurrent.futures
import os
import pathlib
import shutil
import sys
import tempfile
import time
import traceback

import builds
import conformance
import promises
import results
import second_try
import suites
from results import Case, FAILED


# Suites that run side by side.
LANES = 2


class Run:
    def __init__(self, arguments):
        self.wanted = arguments.suite
        self.full = arguments.full
        self.select = arguments.select
        self.once = arguments.once
        self.folder = pathlib.Path(arguments.build_dir).resolve()
        self.results = self.folder / "results"
        self.installed = pathlib.Path(tempfile.mkdtemp(prefix="restante-test-"))
        self.installed.chmod(0o755)
        self.release = self.build("release")
        self.sanitize = self.build("sanitize")
        self.allowed = results.AllowedSkips(builds.ROOT / "tests/ALLOWED_SKIPS")
        self.suites = {}

    @property
    def cases(self):
        return [case for cases in self.suites.values() for case in cases]

    def build(self, name):
        return builds.Build(name, f"{name}.ini", self.folder / name, self.installed / name)

    def wants(self, *names):
        return not self.wanted or any(name in self.wanted for name in names)

    def suite(self, name, function, *arguments):
        """Runs one suite, keeps its results, and says at once how it went."""
        start = time.monotonic()
        try:
            cases = function(*arguments)
            if cases is None:  # nothing that was selected is in it
                return
            cases = list(cases)
        except builds.CommandFailed as failure:
            cases = [Case(f"{name}:{name}", FAILED, 0.0, str(failure))]
        except Exception:  # a bug of ours, which must not go without the closing line
            cases = [Case(f"{name}:{name}", FAILED, 0.0, traceback.format_exc())]
        if not cases:
            cases = [Case(f"{name}:{name}", FAILED, 0.0, "no test ran")]
        for case in cases:
            self.allowed.enforce(case)
        results.write_junit(self.results / f"{name}.xml", name, cases)
        report = [f"{name}: {results.closing_line(cases)} ({time.monotonic() - start:.0f} s)"]
        for case in cases:
            if case.outcome == FAILED:
                report.append(f"FAILED {case.id}")
                report += ["    " + line for line in case.text.strip().splitlines()[-60:]]
        # One call, or reports of suites that run side by side would mix.
        sys.stdout.write("\n".join(report) + "\n")
        self.suites[name] = cases

    def prepare(self, build):
        build.compile()
        build.install_tree()
        yield Case(f"build:{build.name}", results.PASSED)

    def everything(self):
        rooms = [name for name in suites.MESON_SUITES if self.wanted and name in self.wanted]
        if self.wanted and "accounts" in self.wanted:  # who may come in: the rooms that decide it belong to it
            rooms += [name for name in ("account", "sasl") if name not in rooms]
        units = not self.wanted or rooms
        with concurrent.futures.ThreadPoolExecutor() as pool:
            jobs = []
            if self.wants("lint"):
                jobs.append(pool.submit(self.suite, "lint", suites.lint))
            if self.wants("harness"):
                jobs.append(pool.submit(self.pytest, "harness", self.release))
            if units or self.wants("wire", "clients", "access", "accounts", "retrieve", "instructions"):
                self.suite("build-release", self.prepare, self.release)
            if units or self.wants("wire", "accounts", "retrieve"):
                self.suite("build-sanitize", self.prepare, self.sanitize)
            for job in jobs:
                job.result()
        if any(case.outcome == FAILED for case in self.cases if case.id.startswith("build")):
            return
        jobs = [(self.pytest, name, build) for name, build in (
            ("access", self.release), ("accounts", self.sanitize), ("retrieve", self.release),
            ("accounts", self.release), ("wire", self.release), ("wire", self.sanitize),
            ("retrieve", self.sanitize), ("clients", self.release)) if self.wants(name)]
        if units:
            jobs.insert(2, (self.units, rooms))
        if self.wants("instructions") and not self.select:
            jobs.insert(2, (self.suite, "instructions", suites.instructions, self.release))
        # What waits leaves the processors to what computes.
        with concurrent.futures.ThreadPoolExecutor(LANES) as pool:
            for job in [pool.submit(*job) for job in jobs]:
                job.result()
        self.alone()
        if self.select and all(name.startswith(("build-", "lint", "units-")) for name in self.suites):
            self.suite("selection", list)
        if not self.once:
            self.second_try()
        if self.wants("conformance") and not self.select:
            self.suite("conformance", conformance.check, builds.ROOT, self.results)

    def units(self, rooms):
        self.suite("units-release", suites.meson, self.release,
                   [room for room in rooms if room != "fuzz"], self.full) \
            if rooms != ["fuzz"] else None
        self.suite("units-sanitize", suites.meson, self.sanitize, rooms, self.full)

    def second_try(self):
        """When nothing else runs any more."""
        for case, passed in second_try.run(self.cases):
            outcome = "passed only when it ran by itself" if passed else "failed again by itself"
            print(f"UNSTEADY {case.id}: {outcome}" if passed else f"FAILED {case.id}: {outcome}")
        for name, cases in self.suites.items():
            results.write_junit(self.results / f"{name}.xml", name, cases)

    def pytest(self, name, build):
        label = f"{name}-{build.name}"
        workers = suites.WORKERS if name != "harness" else 0
        self.suite(label, suites.pytest, name, build, suites.PYTEST_SUITES[name],
                   self.results / f"{label}.xml", self.full, self.select, workers, "not alone")

    def alone(self):
        """Tests that measure time, of all suites, when nothing else runs; on the release build only."""
        for name, folder in suites.PYTEST_SUITES.items():
            if self.wants(name):
                label = f"{name}-alone"
                self.suite(label, suites.pytest, name, self.release, folder,
                           self.results / f"{label}.xml", self.full, self.select, 0, "alone")


def parse_arguments():
    parser = argparse.ArgumentParser(prog="scripts/test", description=__doc__)
    parser.add_argument("--suite", action="append", choices=suites.NAMES, metavar="NAME",
                        help="run this part only (may be repeated): " + ", ".join(suites.NAMES))
    parser.add_argument("-k", dest="select", metavar="EXPRESSION",
                        help="of the wire and client tests only those that pytest's -k selects")
    parser.add_argument("--full", action="store_true", help="also what takes long")
    parser.add_argument("--once", action="store_true",
                        help="give a test that failed beside others no second try by itself")
    parser.add_argument("--prove-promises", nargs="?", const="", metavar="PATTERN",
                        help="break each promise in a copy (tests/promises/); its test must notice")
    parser.add_argument("--build-dir", default=os.environ.get(
        "RESTANTE_BUILD_DIR", builds.ROOT / "build"), metavar="DIR",
        help="where to build and to keep the results (default: build/ in the tree)")
    return parser.parse_args()


def main():
    arguments = parse_arguments()
    run = Run(arguments)
    try:
        if arguments.prove_promises is not None:
            run.suite("promises", promises.prove, run.folder / "promises", run.installed,
                      arguments.prove_promises)
        else:
            if not run.wanted and run.results.exists():
                shutil.rmtree(run.results)
            run.everything()
    finally:
        shutil.rmtree(run.installed, ignore_errors=True)
    print(results.closing_line(run.cases))
    return results.exit_status(run.cases)


if __name__ == "__main__":
    sys.exit(main())
