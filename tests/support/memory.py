# SPDX-License-Identifier: MIT
"""Looks for octets in all memory of a process (root only: our processes are not dumpable)."""

import array
import mmap
import re

PAGE = mmap.PAGESIZE
IN_USE = 3 << 62  # of a pagemap's entry: in memory or in swap


def find(pid, *needles):
    """The mappings of a process in which any of the octets stand."""
    found = []
    with open(f"/proc/{pid}/maps") as maps, \
            open(f"/proc/{pid}/mem", "rb", buffering=0) as memory, \
            open(f"/proc/{pid}/pagemap", "rb", buffering=0) as pages:
        for line in maps:
            start, end, rights, name = re.match(
                r"([0-9a-f]+)-([0-9a-f]+) (\S+) \S+ \S+ \S+ *(.*)", line).groups()
            if "r" not in rights or name in ("[vvar]", "[vsyscall]"):
                continue
            for at, size in _runs(pages, int(start, 16), int(end, 16)):
                memory.seek(at)
                octets = memory.read(size)
                if any(needle in octets for needle in needles):
                    found.append(f"{start}-{end} {rights} {name}")
                    break
    return found


def _runs(pages, start, end):
    """Stretches of pages that have something in them: what was never touched need not be read."""
    pages.seek(start // PAGE * 8)
    entries = array.array("Q", pages.read((end - start) // PAGE * 8))
    first = None
    for index, entry in enumerate([*entries, 0]):
        if entry & IN_USE:
            first = index if first is None else first
        elif first is not None:
            yield start + first * PAGE, (index - first) * PAGE
            first = None
