# SPDX-License-Identifier: MIT
"""A terminal of tmux: a command runs on it, keys are typed, and the screen is read as a person would."""

import shlex
import subprocess
import time

PATIENCE = 60


class Terminal:
    def __init__(self, folder, command, environment, prefix=()):
        self.prefix, self.environment = prefix, environment
        self.socket = folder / "tmux"
        self.tmux("-f", "/dev/null", "new-session", "-d", "-x", "110", "-y", "50",
                  shlex.join(map(str, command)) + '; echo "ended with $?"; cat')

    def tmux(self, *arguments):
        command = [*self.prefix, "tmux", "-S", self.socket, *arguments]
        return subprocess.run(list(map(str, command)), env=self.environment, capture_output=True, text=True,
                              timeout=PATIENCE, check=True).stdout

    def screen(self):
        """Without the ends of lines, which are the terminal's."""
        return self.tmux("capture-pane", "-p", "-J")

    def await_text(self, text):
        deadline = time.monotonic() + PATIENCE
        while text not in self.screen():
            assert time.monotonic() < deadline, f"{text!r} does not come:\n{self.screen()}"
            time.sleep(0.05)

    def answer(self, question, text):
        """Once the screen's last line is the question."""
        deadline = time.monotonic() + PATIENCE
        while not (self.screen().strip().rpartition("\n")[2]).startswith(question):
            assert time.monotonic() < deadline, f"{question!r} is not asked:\n{self.screen()}"
            time.sleep(0.05)
        if text:
            self.tmux("send-keys", "-l", text)
        self.tmux("send-keys", "Enter")

    def close(self):
        self.tmux("kill-server")
