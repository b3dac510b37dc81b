# SPDX-License-Identifier: MIT
"""Results of tests: one form for all of them, kept as JUnit XML; what counts as a failure."""

import dataclasses
import fnmatch
import pathlib
import re
import xml.etree.ElementTree as ElementTree

PASSED, FAILED, SKIPPED = "passed", "failed", "skipped"


@dataclasses.dataclass
class Case:
    """One test that ran: `id` is what docs/conformance.md and tests/promises name it by; `again`, where it
    can run by itself, does that and gives the cases that it finds."""

    id: str
    outcome: str
    seconds: float = 0.0
    text: str = ""
    again: object = dataclasses.field(default=None, compare=False, repr=False)


def write_junit(path, suite, cases):
    root = ElementTree.Element("testsuites")
    count = lambda outcome: str(sum(case.outcome == outcome for case in cases))
    element = ElementTree.SubElement(
        root, "testsuite", name=suite, tests=str(len(cases)), failures=count(FAILED),
        skipped=count(SKIPPED), errors="0")
    for case in cases:
        item = ElementTree.SubElement(
            element, "testcase", classname=suite, name=case.id, time=f"{case.seconds:.3f}")
        if case.outcome != PASSED:
            tag = "failure" if case.outcome == FAILED else "skipped"
            ElementTree.SubElement(item, tag).text = _xml_text(case.text)
    path.parent.mkdir(parents=True, exist_ok=True)
    ElementTree.ElementTree(root).write(path, encoding="utf-8", xml_declaration=True)


def read_junit(path):
    for item in ElementTree.parse(path).getroot().iter("testcase"):
        outcome, text = PASSED, ""
        for child in item:
            if child.tag in ("failure", "error"):
                outcome, text = FAILED, (child.get("message") or "") + "\n" + (child.text or "")
            elif child.tag == "skipped" and outcome != FAILED:
                outcome, text = SKIPPED, child.get("message") or child.text or ""
        yield item, Case(item.get("name"), outcome, float(item.get("time") or 0), text)


def read_tap(text, identify):
    """Cases of a TAP text; `identify` makes the id of a name. A plan that was not kept is a failure."""
    cases, planned, notes = [], None, []
    for line in text.splitlines():
        if match := re.match(r"1\.\.(\d+)", line):
            planned = int(match[1])
        elif match := re.match(r"(not )?ok\b *\d* *-? *(.*)", line):
            name, _, directive = match[2].partition(" # ")
            outcome = FAILED if match[1] else PASSED
            if directive.upper().startswith("SKIP"):
                outcome = SKIPPED
            cases.append(Case(identify(name.strip()), outcome, 0.0,
                              directive[4:].strip() if outcome == SKIPPED else "\n".join(notes)))
            notes = []
        elif line.startswith("#"):
            notes.append(line[1:].strip())
    if cases and notes and cases[-1].outcome == FAILED:
        cases[-1].text += "\n".join(notes)
    return cases, planned is not None and planned == len(cases)


class AllowedSkips:
    """tests/ALLOWED_SKIPS: `pattern of ids: reason`, one a line; # begins a comment line."""

    def __init__(self, path):
        self.patterns = []
        for line in pathlib.Path(path).read_text().splitlines():
            if line.strip() and not line.startswith("#"):
                pattern, separator, reason = line.partition(": ")
                if not separator or not reason.strip():
                    raise SystemExit(f"{path}: no reason given: {line}")
                self.patterns.append(pattern.strip())

    def enforce(self, case):
        if case.outcome == SKIPPED and not any(
                fnmatch.fnmatchcase(case.id, pattern) for pattern in self.patterns):
            case.outcome = FAILED
            case.text = f"skipped, and not listed in tests/ALLOWED_SKIPS: {case.text}"


def closing_line(cases):
    count = lambda outcome: sum(case.outcome == outcome for case in cases)
    return f"{count(PASSED)} passed, {count(FAILED)} failed, {count(SKIPPED)} skipped"


def exit_status(cases):
    return 0 if cases and all(case.outcome != FAILED for case in cases) else 1


def _xml_text(text):
    return re.sub(r"[^\t\n\r\x20-\ud7ff\ue000-\ufffd]", "?", text)
