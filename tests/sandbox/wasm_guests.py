"""WebAssembly functions for tests, written as text and compiled when they are asked for."""

from __future__ import annotations

from pathlib import Path

import wasmtime
from enclaved.sandbox.engine import Function
from enclaved.sandbox.limits import Limits

LIMITS = Limits(time_ms=5_000, memory_mib=16)

ALLOC = """
  (func $alloc (export "enclaved_alloc") (param $size i32) (result i32)
    (local $at i32)
    (local.set $at (global.get $top))
    (global.set $top (i32.add (global.get $top) (i32.add (local.get $size) (i32.const 16))))
    (block $fits
      (br_if $fits (i32.le_u (global.get $top) (i32.mul (memory.size) (i32.const 65536))))
      (if (i32.eq (i32.const -1) (memory.grow (i32.add (i32.const 1) (i32.div_u
            (i32.sub (global.get $top) (i32.mul (memory.size) (i32.const 65536))) (i32.const 65536)))))
        (then (return (i32.const 0)))))
    (i32.add (local.get $at) (i32.const 1)))
"""
"""Sets memory aside, with one byte free before it: room for the status of an output that is the input."""

ECHO = """
    (i32.store8 (i32.sub (local.get $at) (i32.const 1)) (i32.const 0))
    (call $packed (i32.sub (local.get $at) (i32.const 1)) (i32.add (local.get $size) (i32.const 1)))
"""
"""Gives back the input."""


def guest(handle: str, *, alloc: str = ALLOC, more: str = "", memory: str = "1") -> bytes:
    """Return a module whose `enclaved_handle` has this body; its input is `$size` bytes at `$at`."""
    text = f"""(module
  (memory (export "memory") {memory})
  (global $top (mut i32) (i32.const 1024))
  (func $packed (param $at i32) (param $size i32) (result i64)
    (i64.or (i64.shl (i64.extend_i32_u (local.get $at)) (i64.const 32)) (i64.extend_i32_u (local.get $size))))
  {alloc}
  (func $handle (export "enclaved_handle") (param $at i32) (param $size i32) (result i64)
    (local $i i32)
    {handle})
  {more})"""
    return bytes(wasmtime.wat2wasm(text))


def honest_unless_empty(bad: str) -> str:
    """Return a body that gives back its input, and does something else where that is empty."""
    return f"(if (i32.eqz (local.get $size)) (then {bad}))" + ECHO


def write_guest(folder: Path, code: bytes, *, name: str = "probe", limits: Limits = LIMITS) -> Function:
    """Write a module into a folder of its own and describe it."""
    home = folder / name
    home.mkdir(exist_ok=True)
    (home / "probe.wasm").write_bytes(code)
    return Function(name=name, folder=home, entrypoint="probe.wasm", limits=limits)
