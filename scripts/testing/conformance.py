# SPDX-License-Identifier: MIT
"""docs/conformance.md against the tree and the results of the last run.

Rows are `| requirement | section | where | test |`: `where` names functions as `file:function`, `test`
tests by their ids; several are separated by commas or <br>. A requirement that is not met on purpose
says `not done: reason` in place of both."""

import collections
import pathlib
import re
import sys

import results
from results import Case, FAILED, PASSED, SKIPPED

NAME = "conformance"


def read_rows(path):
    for number, line in enumerate(path.read_text().splitlines(), 1):
        cells = [cell.strip() for cell in line.strip().strip("|").split("|")]
        if not line.startswith("|") or len(cells) != 4:
            continue
        if cells[0].lower() == "requirement" or not cells[0].strip("-: "):
            continue
        yield number, cells


def split(cell):
    return [item.strip().strip("`") for item in re.split(r",\s|<br>|;\s", cell) if item.strip()]


def function_exists(root, where):
    file, separator, function = where.partition(":")
    path = root / file
    if not separator or not path.is_file():
        return False
    return re.search(rf"\b{re.escape(function)}\b", path.read_text(errors="replace")) is not None


def collect(folder):
    """id -> outcomes of the last run. A test with parameters answers to its name without them too."""
    outcomes = collections.defaultdict(list)
    for path in sorted(pathlib.Path(folder).glob("*.xml")):
        if path.stem in (NAME, "promises"):
            continue
        for _, case in results.read_junit(path):
            outcomes[case.id].append(case.outcome)
            if case.id.endswith("]") and "[" in case.id:
                outcomes[case.id[:case.id.index("[")]].append(case.outcome)
    return outcomes


def complaints(root, outcomes, where, tests):
    if not split(where):
        yield "names no function"
    if not split(tests):
        yield "names no test"
    for place in split(where):
        if not function_exists(root, place):
            yield f"{place}: no such function"
    for test in split(tests):
        found = outcomes.get(test, [])
        if not found:
            yield f"{test}: did not run"
        elif FAILED in found:
            yield f"{test}: failed"
        elif PASSED not in found:
            yield f"{test}: was skipped"


def check(root, folder):
    table = root / "docs/conformance.md"
    if not table.exists():
        return [Case(f"{NAME}:table", FAILED, 0.0, "docs/conformance.md is missing")]
    outcomes = collect(folder)
    if not outcomes:
        return [Case(f"{NAME}:results", FAILED, 0.0,
                     f"no results in {folder}: run scripts/test first")]
    cases = []
    for number, (requirement, section, where, tests) in read_rows(table):
        if re.match(r"not done: \S", where) or re.match(r"not done: \S", tests):
            cases.append(Case(f"{NAME}:{number}", PASSED))
            continue
        wrong = list(complaints(root, outcomes, where, tests))
        text = f"docs/conformance.md:{number}: {section} {requirement}: " + "; ".join(wrong)
        cases.append(Case(f"{NAME}:{number}", FAILED if wrong else PASSED, 0.0, text))
    return cases


def main():
    root = pathlib.Path(__file__).resolve().parent.parent.parent
    folder = pathlib.Path(sys.argv[1] if len(sys.argv) > 1 else root / "build") / "results"
    cases = check(root, folder)
    for case in cases:
        if case.outcome == FAILED:
            print(case.text)
    print(results.closing_line(cases))
    return results.exit_status(cases)


if __name__ == "__main__":
    sys.exit(main())
