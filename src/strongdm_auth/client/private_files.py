"""Files with secrets: made with mode 0600 and all at once, and read only if nobody else could have (read or put) them.

A file is never seen half-written, nor for a moment with wider permissions: it is written under another name, which only the
owner may open, and then renamed. Symbolic links are not followed at the file itself: who may write to a folder could
otherwise have a secret written, or another file taken for one, elsewhere.
"""

import os
import secrets
import stat
from contextlib import suppress
from pathlib import Path

from .errors import UnsafeFile

#: The longest file; a JWK with a 4096-bit RSA key has about 3,500 characters.
MOST_BYTES = 64 * 1024

_NO_LINK = getattr(os, "O_NOFOLLOW", 0)
_CLOEXEC = getattr(os, "O_CLOEXEC", 0)
#: On other systems the mode says nothing about who may read a file.
_MODES_COUNT = os.name == "posix"


def write_private(path: Path, content: bytes) -> None:
    """Put `content` there, readable by the owner alone; what was there before is replaced in one step."""
    beside = path.with_name(f".{path.name}.{secrets.token_hex(8)}")
    descriptor = os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_EXCL | _NO_LINK | _CLOEXEC, 0o600)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        os.replace(beside, path)
    except BaseException:
        with suppress(OSError):
            beside.unlink()
        raise


def read_private(path: Path) -> bytes:
    """What is in the file.

    Raises:
        UnsafeFile: it is a link, no regular file, somebody else's, or open to others.
        FileNotFoundError: there is none.
    """
    if path.is_symlink():
        raise UnsafeFile(f"{path} is a symbolic link; put the file itself there")
    # Not blocking: a named pipe in its place would keep us waiting for ever.
    descriptor = os.open(path, os.O_RDONLY | _NO_LINK | _CLOEXEC | getattr(os, "O_NONBLOCK", 0))
    with os.fdopen(descriptor, "rb") as file:
        status = os.fstat(file.fileno())  # of what was opened, whatever stands there by now
        if not stat.S_ISREG(status.st_mode):
            raise UnsafeFile(f"{path} is not a regular file")
        _check_owner_and_mode(path, status, "chmod 600")
        content = file.read(MOST_BYTES + 1)
    if len(content) > MOST_BYTES:
        raise UnsafeFile(f"{path} is longer than {MOST_BYTES} bytes")
    return content


def make_private_folder(path: Path) -> None:
    """The folder, and those above it that are missing, open to the owner alone.

    Raises:
        UnsafeFile: it is there already, and is a link, somebody else's, or open to others.
    """
    if not path.is_symlink() and not path.exists():
        make_missing = path.parent
        make_missing.mkdir(mode=0o700, parents=True, exist_ok=True)
        path.mkdir(mode=0o700, exist_ok=True)
    check_private_folder(path)


def check_private_folder(path: Path) -> None:
    """Raises UnsafeFile unless it is a folder, no link, and the owner's alone; FileNotFoundError where there is none."""
    status = path.lstat()
    if not stat.S_ISDIR(status.st_mode):
        raise UnsafeFile(f"{path} is a symbolic link or no folder; put the folder itself there")
    _check_owner_and_mode(path, status, "chmod 700")


def _check_owner_and_mode(path: Path, status: os.stat_result, remedy: str) -> None:
    if not _MODES_COUNT:
        return
    if status.st_uid != os.geteuid():
        raise UnsafeFile(f"{path} belongs to another user")
    if status.st_mode & 0o077:
        raise UnsafeFile(f"{path} is open to others (mode {stat.S_IMODE(status.st_mode):04o}); {remedy} {path}")
