"""A fork copies locks as they are, and work under way without the threads that do it: in the child neither ever ends.

Servers that load the app before they fork (`gunicorn --preload`) may do so in the middle of anything. What holds a lock, or
leaves that somebody in this process must give back, is renewed in each child before anything else runs there.
"""

import os
from typing import Protocol
from weakref import WeakSet


class Forked(Protocol):
    """What has to be renewed."""

    def after_fork(self) -> None:
        """Called in the child, where no other thread is: new locks; forget what others had begun, and never raise."""
        ...


_parts: WeakSet[Forked] = WeakSet()


def renew_after_fork(part: Forked) -> None:
    """Have `part.after_fork()` called in every child of this process, for as long as `part` lives."""
    _parts.add(part)


def _renew() -> None:
    for part in list(_parts):
        part.after_fork()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_renew)
