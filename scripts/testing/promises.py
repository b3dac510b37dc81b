# SPDX-License-Identifier: MIT
"""Breaks each promise in a copy of the tree and sees that the named test notices.

A file of tests/promises/ says in its head `Promise:`, `Breaks:` and `Test:` (an id), then a unified
diff. Its case passes if the test passes before and fails after."""

import dataclasses
import pathlib
import re
import shutil
import subprocess

import builds
import results
import suites
from results import Case, FAILED, PASSED


@dataclasses.dataclass
class Patch:
    path: pathlib.Path
    promise: str
    breaks: str
    test: str


def read_patch(path):
    fields = {}
    for line in path.read_text().splitlines():
        if line.startswith("--- "):
            break
        if match := re.match(r"(Promise|Breaks|Test): *(\S.*)", line):
            fields[match[1].lower()] = match[2].strip()
    return Patch(path, **fields)


class Copy:
    """A copy of the tree with a build of its own, which ninja keeps up to date with little work."""

    def __init__(self, folder, install):
        self.source = folder / "source"
        self.folder = folder
        folder.mkdir(parents=True, exist_ok=True)
        self.source.mkdir(exist_ok=True)
        self._copy_tree()
        self.build = builds.Build("promises", "promises.ini", folder / "build", install / "promises",
                                  self.source)

    def _copy_tree(self):
        """Contents only where they differ: ninja goes by times."""
        wanted = set()
        for path in builds.ROOT.rglob("*"):
            relative = path.relative_to(builds.ROOT)
            if relative.parts[0] in (".git", "build") or relative.parts[0].startswith("build-"):
                continue
            wanted.add(relative)
            target = self.source / relative
            if path.is_dir():
                target.mkdir(exist_ok=True)
            elif not target.exists() or target.read_bytes() != path.read_bytes():
                shutil.copyfile(path, target)
                shutil.copymode(path, target)
        for path in sorted(self.source.rglob("*"), reverse=True):
            if path.relative_to(self.source) not in wanted:
                path.unlink() if not path.is_dir() else path.rmdir()

    def patch(self, path, *options):
        builds.run(["patch", "-p1", "--no-backup-if-mismatch", "-r", "-", "-f", *options,
                    "-d", self.source, "-i", path])

    def outcome(self, test):
        """How the test ends in the copy as it is now: None if it did not run at all."""
        kind, _, name = test.partition(":")
        if kind in suites.PYTEST_SUITES:
            self.build.compile("src/cli/restante")
            self.build.binary.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(self.build.folder / "src/cli/restante", self.build.binary)
            path, _, function = name.partition("::")
            cases = suites.pytest(kind, self.build, f"{path}::{function}",
                                  self.folder / "report.xml", False, workers=0) or []
        else:
            self.build.compile()
            room = "dialogues" if kind == "dialogue" else name.split("/")[0]
            cases = suites.meson(self.build, [room], False)
        found = [case for case in cases if case.id == test or case.id.startswith(test + "[")]
        if not found:
            # An assertion of the program stops a whole test file: that too was noticed.
            stopped = [case for case in cases if case.outcome == FAILED]
            return FAILED if stopped else None
        return FAILED if any(case.outcome == FAILED for case in found) else found[0].outcome


def prove(folder, install, pattern):
    paths = sorted(path for path in (builds.ROOT / "tests/promises").glob("*.patch")
                   if pattern in path.name)
    copy = Copy(folder, install)
    before = {}
    for path in paths:
        identity = f"promise:{path.stem}"
        try:
            patch = read_patch(path)
        except TypeError as error:
            yield Case(identity, FAILED, 0.0, f"{path.name}: head incomplete: {error}")
            continue
        print(f"promise {patch.promise}: {patch.breaks}")
        yield Case(identity, *_prove_one(copy, patch, before))


def _prove_one(copy, patch, before):
    if patch.test not in before:
        before[patch.test] = copy.outcome(patch.test)
    if before[patch.test] != PASSED:
        return FAILED, 0.0, f"{patch.test} does not pass even without the patch"
    try:
        copy.patch(patch.path)
    except builds.CommandFailed as failure:
        copy._copy_tree()
        return FAILED, 0.0, f"the patch applies no more\n{failure}"
    try:
        after = copy.outcome(patch.test)
    except builds.CommandFailed as failure:
        return FAILED, 0.0, f"with the patch it does not build\n{failure}"
    finally:
        copy.patch(patch.path, "-R")
    if after != FAILED:
        return FAILED, 0.0, f"broken ({patch.breaks}), but {patch.test} did not notice: {after}"
    return PASSED, 0.0, ""
