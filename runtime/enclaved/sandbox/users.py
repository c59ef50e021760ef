"""Users that exist nowhere else: one for each function, where the enclave is started as root.

Two functions of one user could send each other signals or count each other's
threads. The range is one that neither distributions nor systemd nor container
managers give out (systemd's UIDS-GIDS: 0x70000000 to 0x7FFFFFFF is unused).
"""

from __future__ import annotations

import os
from collections.abc import Collection
from typing import Final

from enclaved.clock import RandomBytes

__all__ = ["OWN_USERS", "changes_users", "new_user"]

OWN_USERS: Final = range(0x7000_0000, 0x7FFF_FFFF)


def changes_users() -> bool:
    """Return whether processes are started as root, who can make others of them."""
    return os.geteuid() == 0


def new_user(taken: Collection[int], *, random: RandomBytes) -> int:
    """Return a user id that is not taken; at random, since other enclaves on this host choose too.

    Args:
        taken: the ids in use here.
        random: makes it.
    """
    while True:
        user = OWN_USERS[int.from_bytes(random(8), "big") % len(OWN_USERS)]
        if user not in taken:
            return user
