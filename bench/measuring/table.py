# SPDX-License-Identifier: MIT
"""The table: ratios only, because absolute times say more about a machine than about a server."""

import re

END = "<!-- end of results -->"


def number(ratio):
    """A ratio as people read it: 0.02 as 1/50."""
    if not ratio:
        return "-"
    return f"1/{figures(1 / ratio)}" if ratio < 0.3 else figures(ratio)


def figures(value):
    """Three of them."""
    return f"{value:.0f}" if value >= 100 else f"{value:.3g}"


def judged(ratio, goal):
    if goal is None:
        return number(ratio)
    mark = "met" if goal.met(ratio) else "**not met**"
    return f"{number(ratio)} ({goal}: {mark})"


def ratio_to(case, row, other):
    ours, theirs = case.value("restante", row.figure), case.value(other, row.figure)
    return ours / theirs if ours is not None and theirs else None


def cell(case, row, other, goal=None):
    ratio = ratio_to(case, row, other)
    if ratio is None:
        return "fell out" if other in case.failures else "-"
    return judged(ratio, goal)


def goals(case, row):
    """Each goal of a row: what it is, and whether it is met (None: nothing to compare with)."""
    for other, goal in (("floor", row.floor), ("dovecot-tuned", row.tuned), ("popa3d", row.popa3d)):
        if goal is not None:
            ratio = ratio_to(case, row, other)
            yield f"{goal} of {other}", None if ratio is None else goal.met(ratio)
    if row.most is not None:
        ours = case.value("restante", row.figure)
        yield f"<= {row.most:g}", None if ours is None else ours <= row.most


def explained(page):
    """The rows that unmet.md has an entry for: a heading, a text and a profile."""
    entries = re.split(r"(?m)^## ", page.read_text())[1:] if page.exists() else []
    return {entry.split("\n", 1)[0].strip() for entry in entries if "```" in entry}


def complaints(work, missed, page):
    if missed and work not in explained(page):
        yield f"{work}: not {' and not '.join(missed)}, and {page.name} says nothing of it"


def unexplained(measured, page):
    """Rows of which a goal is not met and that have no entry; and where Restante or the floor fell out. That a peer
    cannot do a thing is told in the table."""
    for case in measured:
        for row in case.rows:
            missed = [text for text, met in goals(case, row) if met is False]
            yield from complaints(row.work, missed, page)
        for name, what in case.failures.items():
            if name not in ("restante", "floor"):
                continue
            yield f"{case.rows[0].work}: {name} fell out: {what.splitlines()[0] if what else '?'}"


def busy(case, names):
    shares = [case.value(name, "busy") for name in names]
    return " ".join("-" if share is None else f"{share * 100:.0f}%" for share in shares)


def markdown(measured, names, conditions):
    order = [name for name in ("floor", "restante", "dovecot-tuned", "dovecot", "courier", "popa3d") if name in names]
    lines = ["| work | to the floor | to Dovecot tuned | to Dovecot default | to Courier | to popa3d "
             f"| floor to Dovecot tuned | load's core busy: {', '.join(order)} |", "|---" * 8 + "|"]
    for case in measured:
        for row in case.rows:
            floor, tuned = case.value("floor", row.figure), case.value("dovecot-tuned", row.figure)
            mine = case.value("restante", row.figure)
            work = row.work
            if row.most is not None and mine is not None:
                mark = "met" if mine <= row.most else "**not met**"
                work += f": {mine / 1024:.1f} KiB (<= {row.most / 1024:g}: {mark})"
            lines.append("| " + " | ".join([
                work,
                cell(case, row, "floor", row.floor),
                cell(case, row, "dovecot-tuned", row.tuned),
                cell(case, row, "dovecot"),
                cell(case, row, "courier"),
                cell(case, row, "popa3d", row.popa3d),
                number(floor / tuned if floor and tuned else None),
                busy(case, order)]) + " |")
    return "\n".join([*lines, "", conditions])


def replace_results(path, result, options=""):
    """Puts the result between the two marks of a page, which stays as it is around them."""
    mark = f"<!-- results: bench/run {options}--write -->"
    page = path.read_text()
    before, begin, rest = page.partition(mark)
    _, end, after = rest.partition(END)
    if not begin or not end:
        raise SystemExit(f"bench/run: {path} has lost its marks")
    path.write_text(f"{before}{mark}\n\n{result.strip()}\n\n{END}{after}")
