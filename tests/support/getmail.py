# SPDX-License-Identifier: MIT
"""getmail6, started as `python3 getmail.py ARGUMENTS`, that hears of each of its children's end. The one of
Debian listens for it only after the fork, so that it waits a minute for a child that was quicker."""

import os
import runpy

from getmailcore.baseclasses import ForkingBase


def wait_for_child(_, child):
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


ForkingBase._prepare_child = lambda _: None
ForkingBase._wait_for_child = wait_for_child
runpy.run_path("/usr/bin/getmail", run_name="__main__")
