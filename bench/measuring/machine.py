# SPDX-License-Identifier: MIT
"""What the machine must give for a fair comparison: cores, a network, processor time of whole servers."""

import ctypes
import fcntl
import os
import resource
import socket
import struct
import subprocess
import time
from pathlib import Path


PRIORITY = -15
MOST_DESCRIPTORS = 65536  # 10 000 sessions have four each


def pick_cores():
    """One core for servers and one for the load, not two threads of one core if that can be had."""
    allowed = sorted(os.sched_getaffinity(0))
    server = allowed[0]
    siblings = Path(f"/sys/devices/system/cpu/cpu{server}/topology/thread_siblings_list")
    shared = parse_list(siblings.read_text()) if siblings.exists() else {server}
    apart = [core for core in allowed if core not in shared] or allowed[1:]
    if not apart:
        raise SystemExit("bench/run: one core alone cannot tell the server from the load")
    return server, apart[0]


def go_first():
    """This process, and what it starts, before all else that the machine has to do. Between sessions the priority of
    a session counts (autogroup, sched(7)), within one that of a process."""
    if os.getsid(0) != os.getpid():
        os.setsid()
    os.setpriority(os.PRIO_PROCESS, 0, PRIORITY)
    group = Path("/proc/self/autogroup")
    if group.exists():
        group.write_text(str(PRIORITY))


def raise_descriptors():
    """To what 10 000 sessions need, or to what a container allows."""
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (MOST_DESCRIPTORS, MOST_DESCRIPTORS))
    except (OSError, ValueError):
        most = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
        resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))


def parse_list(text):
    """The kernel's notation for cores: 0-2,5."""
    cores = set()
    for part in text.strip().split(","):
        first, _, last = part.partition("-")
        cores.update(range(int(first), int(last or first) + 1))
    return cores


def enter_own_network():
    """A network namespace with nothing but loopback, and cubic. Returns what to say about it."""
    clone_newnet = 0x40000000
    try:
        # In a namespace only what the machine allows to everybody can be chosen: allow it for a moment.
        allowed = os.open("/proc/sys/net/ipv4/tcp_allowed_congestion_control", os.O_RDWR)
    except OSError as error:
        return f"the machine's own network ({error})"
    before = os.pread(allowed, 4096, 0)
    try:
        os.pwrite(allowed, before.strip() + b" cubic", 0)
        if ctypes.CDLL(None, use_errno=True).unshare(clone_newnet) != 0:
            return "the machine's own network (a namespace was refused)"
        raise_loopback()
        Path("/proc/sys/net/ipv4/tcp_congestion_control").write_text("cubic")
        return "a network namespace of its own with cubic"
    except OSError as error:
        return f"without a network of its own with cubic ({error})"
    finally:
        os.pwrite(allowed, before.strip(), 0)
        os.close(allowed)


def raise_loopback():
    up, get_flags, set_flags = 0x1, 0x8913, 0x8914
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as any_socket:
        request = struct.pack("16sH14x", b"lo", 0)
        flags = struct.unpack("16sH14x", fcntl.ioctl(any_socket, get_flags, request))[1]
        fcntl.ioctl(any_socket, set_flags, struct.pack("16sH14x", b"lo", flags | up))


def drop_dentries():
    """Names and inodes are forgotten; the octets of files stay. Returns whether the kernel let us."""
    try:
        os.sync()
        Path("/proc/sys/vm/drop_caches").write_text("2")
        return True
    except OSError:
        return False


def kernel_ticks(pid):
    """utime, stime, cutime, cstime and the parent of a process."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return sum(int(field) for field in fields[11:15]), int(fields[1])


class ControlGroup:
    """The processes of one server, their children that came and went included. With cgroup v2 the kernel
    counts; without it, the process tree is added up in ticks."""

    def __init__(self, name):
        self.folder = None
        self.root = None
        for line in Path("/proc/mounts").read_text().splitlines():
            fields = line.split()
            if fields[2] == "cgroup2":
                folder = Path(fields[1]) / f"restante-bench-{os.getpid()}-{name}"
                try:
                    folder.mkdir()
                    self.folder = folder
                except OSError:
                    pass

    @property
    def exact(self):
        return self.folder is not None

    def start(self, command, core, **options):
        """Starts a process that is in this group and on this core before it does anything."""
        def settle():
            os.sched_setaffinity(0, {core})
            go_first()
            raise_descriptors()
            if self.folder:
                (self.folder / "cgroup.procs").write_text("0")

        process = subprocess.Popen(command, preexec_fn=settle, start_new_session=True, **options)
        self.root = process.pid
        return process

    def processes(self):
        if self.folder:
            return [int(pid) for pid in (self.folder / "cgroup.procs").read_text().split()]
        children = {}
        for entry in os.listdir("/proc"):
            if entry.isdigit():
                try:
                    children.setdefault(kernel_ticks(entry)[1], []).append(int(entry))
                except OSError:
                    continue
        found = [self.root]
        for pid in found:
            found.extend(children.get(pid, []))
        return found

    def cpu_seconds(self):
        if self.folder:
            for line in (self.folder / "cpu.stat").read_text().splitlines():
                if line.startswith("usage_usec "):
                    return int(line.split()[1]) / 1e6
        total = 0
        for pid in self.processes():
            try:
                total += kernel_ticks(pid)[0]
            except OSError:
                continue
        return total / os.sysconf("SC_CLK_TCK")

    def memory(self):
        """Octets of all processes, what they share divided among those that share it (PSS)."""
        total = 0
        for pid in self.processes():
            try:
                for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
                    if line.startswith("Pss:"):
                        total += int(line.split()[1]) * 1024
            except OSError:
                continue
        return total

    def remove(self):
        """Ends whatever is still in the group."""
        if not self.folder:
            return
        kill = self.folder / "cgroup.kill"
        if kill.exists():
            kill.write_text("1")
        for _ in range(100):
            try:
                self.folder.rmdir()
                return
            except OSError:
                time.sleep(0.02)
