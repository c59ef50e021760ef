"""Every attack, and what each layer is shown by.

The attacks are functions of the modules in `attacker/`, under test as users' functions
are. `NEED_PRIVILEGES` are those that fail for an ordinary user without any sandbox too.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Final, NamedTuple

from enclaved.sandbox.isolation import IsolationLevel
from enclaved.sandbox.layers import LEVELS, Layer

ATTACKER: Final = Path(__file__).with_name("attacker")
GROUPS: Final = ("network", "processes", "files", "memory", "calls", "exhaustion", "protocol")
ATTACKS: Final = tuple(
    f"{group}.{name}"
    for group in GROUPS
    for name in re.findall(r"^def ([a-z]\w*)\(targets\)", (ATTACKER / f"{group}.py").read_text(), re.MULTILINE)
)

NEED_PRIVILEGES: Final = frozenset(
    {
        "network.packet",
        "files.make_a_device",
        "files.read_against_its_mode",
        "calls.mount_namespace",
        "calls.network_namespace",
        "calls.enter_namespace",
        "calls.mount",
        "calls.new_mount",
        "calls.chroot",
        "calls.pivot",
        "calls.bpf",
        "calls.watch_files",
        "calls.become_root",
        "calls.take_capabilities",
        "calls.raise_its_limits",
        "calls.host_name",
        "calls.other_call_table",
    }
)
"""Attacks that take capabilities, or what not every kernel has."""

HELD_BY_THE_ENCLAVE: Final = frozenset(
    {
        "processes.take_a_sibling_s_channel",
        "exhaustion.busy_with_all_signals_blocked",
        "exhaustion.asleep_with_everything_closed",
        *(attack for attack in ATTACKS if attack.startswith("protocol.")),
    }
)
"""Attacks that no layer stops: the enclave's own side does, its clock and its reading of answers."""


class Ablation(NamedTuple):
    """What a layer is there for.

    Attributes:
        layer: the layer.
        other: the only other layer that stops the attack as well; None if there is none.
        attack: what succeeds without both, and fails with either.
        base: the layers that are there besides, where it is not all of them.
        world: where it is tried.
    """

    layer: Layer
    other: Layer | None
    attack: str
    base: frozenset[Layer] = LEVELS[IsolationLevel.FULL]
    world: str = "root"

    def name(self) -> str:
        """Return a name for a test."""
        return f"{self.layer}, {self.other or 'alone'}: {self.attack}"


_RESTRICTED = LEVELS[IsolationLevel.RESTRICTED]
OUTSIDE: Final = "outside.read_memory"

ABLATIONS: Final = (
    Ablation(Layer.SECCOMP, None, "network.vsock"),
    Ablation(Layer.SECCOMP, None, "memory.writable_and_executable"),
    Ablation(Layer.SECCOMP, None, "calls.fork"),
    Ablation(Layer.SECCOMP, Layer.NAMESPACES, "network.udp"),
    Ablation(Layer.LANDLOCK, Layer.NAMESPACES, "files.read_a_secret"),
    Ablation(Layer.LANDLOCK, None, "files.change_its_own_code", base=_RESTRICTED, world="user"),
    Ablation(Layer.OWN_USER, None, "exhaustion.threads"),
    Ablation(Layer.LIMITS, None, "exhaustion.memory"),
    Ablation(Layer.LIMITS, None, "exhaustion.descriptors"),
    Ablation(Layer.PRIVILEGES, Layer.OWN_USER, "files.read_against_its_mode", base=_RESTRICTED | {Layer.OWN_USER}),
    Ablation(Layer.UNREADABLE, None, OUTSIDE, base=_RESTRICTED, world="user"),
)
