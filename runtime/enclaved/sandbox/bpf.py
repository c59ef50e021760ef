"""Programs for the kernel's packet filter, as seccomp runs them (seccomp(2), bpf.rst).

A program looks at the architecture, then at the number of the call, then at its
arguments, and ends with a verdict. Jumps go forwards only and by at most 255, so
every rule is a block that is skipped as a whole.
"""

from __future__ import annotations

import errno
import struct
from collections.abc import Mapping
from typing import Final, NamedTuple

__all__ = ["OWN_PID", "Check", "Filter", "Program", "assemble"]

OWN_PID: Final = -1
"""A value that stands for the id of the process that loads the program."""

_LOAD: Final = 0x20  # BPF_LD | BPF_W | BPF_ABS
_AND: Final = 0x54  # BPF_ALU | BPF_AND | BPF_K
_EQUAL: Final = 0x15  # BPF_JMP | BPF_JEQ | BPF_K
_AT_LEAST: Final = 0x35  # BPF_JMP | BPF_JGE | BPF_K
_RETURN: Final = 0x06  # BPF_RET | BPF_K

_ALLOW: Final = 0x7FFF_0000
_KILL: Final = 0x8000_0000  # the whole process
_ERROR: Final = 0x0005_0000  # or an errno
_REFUSED: Final = _ERROR | errno.EPERM
_NOT_THERE: Final = _ERROR | errno.ENOSYS

# struct seccomp_data: number, architecture, instruction pointer, six arguments of 64 bits.
_NUMBER: Final = 0
_ARCHITECTURE: Final = 4
_ARGUMENTS: Final = 16
_X32_BIT: Final = 0x4000_0000  # the second, hardly used call table of x86-64; no number of ours is that large

_INSTRUCTION: Final = struct.Struct("=HBBI")
_WORD: Final = 0xFFFF_FFFF


class Check(NamedTuple):
    """A condition on one argument: `(argument & mask) == value`, on 64 bits.

    The mask of an argument that the kernel takes as an int is 32 bits wide: it ignores
    what the upper half of the register holds, and so must the check.
    """

    argument: int
    mask: int
    value: int


Alternatives = tuple[tuple[Check, ...], ...]


class Filter(NamedTuple):
    """What a program lets through; everything else is EPERM.

    Attributes:
        allowed: call numbers, each with the alternatives of which one must hold; none means always.
        absent: call numbers that answer ENOSYS, so that the C library takes its older way.
    """

    allowed: Mapping[int, Alternatives]
    absent: frozenset[int] = frozenset()


class Program(NamedTuple):
    """An assembled program, and where the loading process's id has to be put in."""

    code: bytes
    holes: tuple[int, ...] = ()

    def for_process(self, pid: int) -> bytes:
        """Return the program for one process."""
        code = bytearray(self.code)
        for hole in self.holes:
            struct.pack_into("=I", code, hole, pid)
        return bytes(code)


class _Instruction(NamedTuple):
    code: int
    operand: int
    if_true: int = 0
    if_false: int = 0
    is_hole: bool = False


def assemble(filter_: Filter, *, architecture: int) -> Program:
    """Return the program that enforces a filter.

    Args:
        filter_: what is let through.
        architecture: the only architecture (AUDIT_ARCH_…) whose calls are understood.
    """
    instructions = [
        _Instruction(_LOAD, _ARCHITECTURE),
        _Instruction(_EQUAL, architecture, if_true=1),
        _Instruction(_RETURN, _KILL),  # another table of numbers: nothing below would mean what it says
        _Instruction(_LOAD, _NUMBER),
        _Instruction(_AT_LEAST, _X32_BIT, if_false=1),
        _Instruction(_RETURN, _REFUSED),
    ]
    for number in filter_.absent:
        instructions += _block(number, [_Instruction(_RETURN, _NOT_THERE)])
    for number, alternatives in filter_.allowed.items():
        instructions += _block(number, _rule(alternatives))
    instructions.append(_Instruction(_RETURN, _REFUSED))
    return _encode(instructions)


def _block(number: int, body: list[_Instruction]) -> list[_Instruction]:
    """Return instructions that come to a verdict on one call, and pass over every other."""
    return [_Instruction(_EQUAL, number, if_false=len(body)), *body]


def _rule(alternatives: Alternatives) -> list[_Instruction]:
    if not alternatives:
        return [_Instruction(_RETURN, _ALLOW)]
    body: list[_Instruction] = []
    for checks in alternatives:
        body += _alternative(checks)
    return [*body, _Instruction(_RETURN, _REFUSED)]


def _alternative(checks: tuple[Check, ...]) -> list[_Instruction]:
    """Return instructions that allow if all checks hold, and otherwise come to their end."""
    words = [word for check in checks for word in _words(check)]
    length = 3 * len(words) + 1
    body: list[_Instruction] = []
    for offset, mask, value, is_hole in words:
        body += [_Instruction(_LOAD, offset), _Instruction(_AND, mask)]
        body.append(_Instruction(_EQUAL, value, if_false=length - len(body) - 1, is_hole=is_hole))
    return [*body, _Instruction(_RETURN, _ALLOW)]


def _words(check: Check) -> list[tuple[int, int, int, bool]]:
    """Split a check into its low and high halves (little-endian), without those that check nothing."""
    offset = _ARGUMENTS + 8 * check.argument
    low, high = check.mask & _WORD, check.mask >> 32
    if check.value == OWN_PID:
        return [(offset, low, 0, True)]
    words = [(offset, low, check.value & _WORD, False), (offset + 4, high, check.value >> 32, False)]
    return [word for word in words if word[1]]


def _encode(instructions: list[_Instruction]) -> Program:
    code = b"".join(_INSTRUCTION.pack(each.code, each.if_true, each.if_false, each.operand) for each in instructions)
    size = _INSTRUCTION.size
    return Program(code, tuple(i * size + 4 for i, each in enumerate(instructions) if each.is_hole))
