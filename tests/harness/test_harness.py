# SPDX-License-Identifier: MIT
"""The test of the tests: what must count as a failure does."""

import pathlib

import pytest

import builds
import conformance
import promises
import results
import second_try
import suites
from results import Case, FAILED, PASSED, SKIPPED


def tap(text):
    cases, complete = results.read_tap(text, lambda name: f"x:{name}")
    return [(case.id, case.outcome) for case in cases], complete


def test_tap():
    assert tap("1..2\nok 1 - a\nnot ok 2 - b\n") == ([("x:a", PASSED), ("x:b", FAILED)], True)
    assert tap("ok 1 - a # SKIP no reason\n1..1\n") == ([("x:a", SKIPPED)], True)
    assert tap("1..2\nok 1 - a\n")[1] is False
    assert tap("")[1] is False


@pytest.mark.parametrize("result, output, expected", [
    ("OK", "1..1\nok 1 - a\n", {"unit:base/a": PASSED}),
    ("FAIL", "1..1\nnot ok 1 - a\n", {"unit:base/a": FAILED}),
    ("ERROR", "1..2\nok 1 - a\n", {"unit:base/a": PASSED, "unit:base/bytes": FAILED}),
    ("OK", "1..2\nok 1 - a\n", {"unit:base/a": PASSED, "unit:base/bytes": FAILED}),
    ("TIMEOUT", "", {"unit:base/bytes": FAILED}),
    ("SKIP", "", {"unit:base/bytes": SKIPPED}),
])
def test_meson(result, output, expected):
    cases = suites._meson_cases({"name": "restante:base / bytes", "stdout": output,
                                 "result": result, "duration": 1})
    assert {case.id: case.outcome for case in cases} == expected


def allowed_skips(folder, text):
    path = folder / "ALLOWED_SKIPS"
    path.write_text(text)
    return results.AllowedSkips(path)


def test_a_skip_must_be_listed(tmp_path):
    allowed = allowed_skips(tmp_path, "# a comment\nwire:tests/a.py::*: the reason\n")
    for identity, outcome in (("wire:tests/a.py::test_x", SKIPPED),
                              ("wire:tests/b.py::test_x", FAILED)):
        case = Case(identity, SKIPPED)
        allowed.enforce(case)
        assert case.outcome == outcome
    with pytest.raises(SystemExit):
        allowed_skips(tmp_path, "wire:tests/a.py::*\n")


def test_the_closing_line_and_the_exit_status():
    cases = [Case("a", PASSED), Case("b", PASSED), Case("c", SKIPPED)]
    assert results.closing_line(cases) == "2 passed, 0 failed, 1 skipped"
    assert results.exit_status(cases) == 0
    assert results.exit_status(cases + [Case("d", FAILED)]) == 1
    assert results.exit_status([]) == 1


@pytest.mark.parametrize("found, outcome", [
    ([Case("a", PASSED)], PASSED),
    ([Case("b", FAILED), Case("a", PASSED)], PASSED),
    ([Case("a", FAILED)], FAILED),
    ([Case("a", PASSED), Case("a", FAILED)], FAILED),
    ([Case("a", SKIPPED)], FAILED),
    ([], FAILED),
])
def test_a_failure_has_a_second_try(found, outcome):
    case = Case("a", FAILED, again=lambda: found)
    assert list(second_try.run([Case("b", PASSED), case])) == [(case, outcome == PASSED)]
    assert case.outcome == outcome


def test_many_failures_have_none():
    cases = [Case("a", FAILED, again=lambda: [Case("a", PASSED)])
             for _ in range(second_try.MOST + 1)]
    assert list(second_try.run(cases)) == []
    assert all(case.outcome == FAILED for case in cases)


def test_a_case_without_a_second_try_stays_failed():
    case = Case("build:release", FAILED)
    assert list(second_try.run([case])) == [] and case.outcome == FAILED


def test_junit_there_and_back(tmp_path):
    cases = [Case("a", PASSED, 1.5), Case("b", FAILED, 0, "why \0 not"), Case("c", SKIPPED, 0, "x")]
    results.write_junit(tmp_path / "x.xml", "x", cases)
    assert [(case.id, case.outcome) for _, case in results.read_junit(tmp_path / "x.xml")] == \
        [("a", PASSED), ("b", FAILED), ("c", SKIPPED)]


def conforms(folder, row, cases):
    (folder / "docs").mkdir(exist_ok=True)
    (folder / "docs/conformance.md").write_text(
        "| requirement | section | where | test |\n|---|---|---|---|\n" + row + "\n")
    (folder / "x.c").write_text("int good(void)\n")
    results.write_junit(folder / "results/x.xml", "x", cases)
    return [case.outcome for case in conformance.check(folder, folder / "results")]


@pytest.mark.parametrize("row, expected", [
    ("| it holds | 1 | x.c:good | dialogue:good |", PASSED),
    ("| it holds | 1 | `x.c:good` | `dialogue:good`, `dialogue:with[a]` |", PASSED),
    ("| it holds | 1 | x.c:good | dialogue:with |", PASSED),
    ("| it holds | 1 | x.c:bad | dialogue:good |", FAILED),
    ("| it holds | 1 | y.c:good | dialogue:good |", FAILED),
    ("| it holds | 1 | x.c | dialogue:good |", FAILED),
    ("| it holds | 1 | x.c:good | dialogue:none |", FAILED),
    ("| it holds | 1 | x.c:good | dialogue:bad |", FAILED),
    ("| it holds | 1 | x.c:good | dialogue:skipped |", FAILED),
    ("| it holds | 1 | x.c:good |  |", FAILED),
    ("| it holds | 1 |  | dialogue:good |", FAILED),
])
def test_conformance(tmp_path, row, expected):
    cases = [Case("dialogue:good", PASSED), Case("dialogue:bad", PASSED),
             Case("dialogue:bad", FAILED), Case("dialogue:skipped", SKIPPED),
             Case("dialogue:with[a]", PASSED), Case("dialogue:with[b]", PASSED)]
    assert conforms(tmp_path, row, cases) == [expected]


def test_conformance_needs_a_run(tmp_path):
    assert conforms(tmp_path, "| x | 1 | x.c:good | dialogue:good |", []) == [FAILED]


class FakeCopy:
    """Answers for the tests of a tree with and without the patch."""

    def __init__(self, before, after, applies=True):
        self.answers = [before, after]
        self.applies = applies

    def outcome(self, _):
        return self.answers.pop(0)

    def patch(self, *_):
        if not self.applies:
            raise builds.CommandFailed("hunk failed")

    def _copy_tree(self):
        pass


@pytest.mark.parametrize("before, after, applies, expected", [
    (PASSED, FAILED, True, PASSED),
    (PASSED, PASSED, True, FAILED),
    (PASSED, None, True, FAILED),
    (FAILED, FAILED, True, FAILED),
    (None, FAILED, True, FAILED),
    (PASSED, FAILED, False, FAILED),
])
def test_a_promise_is_proved_by_a_test_that_turns_red(before, after, applies, expected):
    patch = promises.Patch(pathlib.Path("x.patch"), "1", "something", "unit:x/y")
    assert promises._prove_one(FakeCopy(before, after, applies), patch, {})[0] == expected
