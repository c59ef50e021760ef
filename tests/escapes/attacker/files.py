"""Reading what is not the function's, and writing anything at all."""

import os

from attempt import first_that_works


def read_a_secret(targets):
    with open(targets["secret"], "rb") as file:
        return file.read()


def read_against_its_mode(targets):
    """A file where it may look, which nobody may read but whoever can override modes."""
    with open(targets["closed"], "rb") as file:
        return file.read()


def read_the_host(targets):
    paths = ("/etc/passwd", "/etc/hostname", "/proc/version", "/sys/kernel/notes", "/proc/self/environ", "/dev/vda")
    return first_that_works(lambda path: open(path, "rb").close(), paths)


def list_folders(targets):
    paths = ("/", "/tmp", "/home", "/proc", "/sys", "/dev", "/etc", os.path.dirname(targets["secret"]))
    return first_that_works(os.listdir, paths)


def write_somewhere(targets):
    mine = os.path.dirname(__file__)
    folders = ("/", "/tmp", "/var/tmp", "/dev/shm", "/run", "/dev", mine, os.path.dirname(targets["secret"]))

    def write(folder):
        os.close(os.open(f"{folder}/left-behind", os.O_CREAT | os.O_WRONLY, 0o600))
        os.unlink(f"{folder}/left-behind")

    return first_that_works(write, folders)


def make_a_folder(targets):
    def make(folder):
        os.mkdir(f"{folder}/left")
        os.rmdir(f"{folder}/left")

    return first_that_works(make, ("/tmp", "/dev/shm", os.path.dirname(__file__)))


def change_its_own_code(targets):
    os.close(os.open(__file__, os.O_WRONLY | os.O_APPEND))
    return "opened"


def change_modes(targets):
    os.chmod(targets["writable"], 0o666)
    return "changed"


def truncate_while_reading(targets):
    """O_TRUNC without a right to write: Landlock sees it on newer kernels only."""
    return first_that_works(
        lambda path: os.close(os.open(path, os.O_RDONLY | os.O_TRUNC)), (targets["writable"], targets["mine"])
    )


def truncate(targets):
    return first_that_works(lambda path: os.truncate(path, 0), (targets["writable"], targets["mine"]))


def rename(targets):
    os.rename(targets["writable"], targets["writable"] + ".moved")
    os.rename(targets["writable"] + ".moved", targets["writable"])
    return "renamed"


def remove(targets):
    os.link(targets["writable"], targets["writable"] + ".kept")
    os.unlink(targets["writable"])
    os.rename(targets["writable"] + ".kept", targets["writable"])
    return "removed"


def make_a_device(targets):
    os.mknod("/dev/left", 0o600 | 0o020000, os.makedev(1, 3))
    os.unlink("/dev/left")
    return "made"


def make_a_link(targets):
    def make(folder):
        os.symlink("/", f"{folder}/left-link")
        os.unlink(f"{folder}/left-link")

    return first_that_works(make, ("/tmp", "/dev/shm"))
