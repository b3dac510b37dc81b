# SPDX-License-Identifier: MIT
"""A file system (FUSE) that shows a folder and takes its time for each operation.

    slow_disk.py FOLDER MOUNT_POINT MILLISECONDS
"""

import os
import sys
import time

from fusepy import FUSE, Operations


class SlowDisk(Operations):
    """Nothing is cached, so that the kernel asks for everything again."""

    def __init__(self, folder, seconds):
        self.folder, self.seconds = folder, seconds
        self.owner = os.stat(folder)

    def __call__(self, operation, path, *arguments):
        time.sleep(self.seconds)
        return super().__call__(operation, self.folder + path, *arguments)

    def getattr(self, path, fh=None):
        status = os.lstat(path)
        fields = ("st_mode", "st_nlink", "st_size", "st_mtime", "st_ctime", "st_atime")
        return {key: getattr(status, key) for key in fields} | {"st_uid": self.owner.st_uid,
                                                               "st_gid": self.owner.st_gid}

    def readdir(self, path, fh):
        return [".", "..", *os.listdir(path)]

    def open(self, path, flags):
        return os.open(path, flags)

    def create(self, path, mode, fi=None):
        return os.open(path, os.O_RDWR | os.O_CREAT, mode)

    def read(self, path, size, offset, fh):
        return os.pread(fh, size, offset)

    def write(self, path, data, offset, fh):
        return os.pwrite(fh, data, offset)

    def truncate(self, path, length, fh=None):
        os.truncate(path, length)

    def release(self, path, fh):
        os.close(fh)

    def fsync(self, path, datasync, fh):
        os.fsync(fh)

    def rename(self, old, new):
        os.rename(old, self.folder + new)

    def link(self, target, source):
        os.link(self.folder + source, target)

    def unlink(self, path):
        os.unlink(path)

    def mkdir(self, path, mode):
        os.mkdir(path, mode)

    def rmdir(self, path):
        os.rmdir(path)

    def chmod(self, path, mode):
        os.chmod(path, mode)

    def chown(self, path, uid, gid):
        """All is its owner's."""

    def utimens(self, path, times=None):
        os.utime(path, times)


if __name__ == "__main__":
    FUSE(SlowDisk(sys.argv[1], int(sys.argv[3]) / 1000), sys.argv[2], foreground=True, allow_other=True,
         attr_timeout=0, entry_timeout=0, direct_io=True)
