# SPDX-License-Identifier: MIT
"""The table: ratios only, because absolute times say more about a machine than about a server."""

END = "<!-- end of results -->"


def number(ratio):
    """A ratio as people read it: 0.02 as 1/50."""
    if not ratio:
        return "-"
    return f"1/{figures(1 / ratio)}" if ratio < 0.3 else figures(ratio)


def figures(value):
    """Three of them."""
    return f"{value:.0f}" if value >= 100 else f"{value:.3g}"


def ratio_to(case, row, other):
    ours, theirs = case.value("restante", row.figure), case.value(other, row.figure)
    return ours / theirs if ours is not None and theirs else None


def cell(ratio, goal):
    if ratio is None:
        return "-"
    if goal is None:
        return number(ratio)
    mark = "met" if goal.met(ratio) else "**not met**"
    return f"{number(ratio)} ({goal}: {mark})"


def busy(case, names):
    shares = [case.value(name, "busy") for name in names]
    return " ".join("-" if share is None else f"{share * 100:.0f}%" for share in shares)


def markdown(measured, names, conditions):
    order = [name for name in ("floor", "restante", "dovecot-tuned", "dovecot") if name in names]
    lines = ["| work | to the floor | to Dovecot tuned | to Dovecot default | floor to Dovecot tuned "
             f"| load's core busy: {', '.join(order)} |", "|---|---|---|---|---|---|"]
    for case in measured:
        for row in case.rows:
            floor, tuned = case.value("floor", row.figure), case.value("dovecot-tuned", row.figure)
            lines.append("| " + " | ".join([
                row.work,
                cell(ratio_to(case, row, "floor"), row.floor),
                cell(ratio_to(case, row, "dovecot-tuned"), row.tuned),
                number(ratio_to(case, row, "dovecot")),
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
