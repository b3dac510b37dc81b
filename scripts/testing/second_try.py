# SPDX-License-Identifier: MIT
"""The second try. Tests run side by side on machines that others use too, where a process may stand still for
seconds. One that failed runs once more when nothing else does, and what fails then is a failure. A test
that needs this is still told of, with what it said at first: it is to be mended, or shows a race of ours."""

from results import FAILED, PASSED

# More than a few are no accident of the machine.
MOST = 6


def run(cases):
    """Tries what failed, and gives each such case with whether it passed; a case that passed counts so."""
    failed = [case for case in cases if case.outcome == FAILED]
    if len(failed) > MOST:
        return
    for case in failed:
        if case.again is None:
            continue
        # One function may give several cases of that id: all of them have to pass.
        found = [again for again in case.again() if again.id == case.id]
        passed = bool(found) and all(again.outcome == PASSED for again in found)
        if passed:
            case.outcome = PASSED
        yield case, passed
