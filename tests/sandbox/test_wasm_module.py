"""A module is checked when its function is started; what could surprise later is refused, in words that help."""

from __future__ import annotations

from contextlib import suppress

import pytest
import wasmtime
from enclaved.errors import ConfigurationError, SandboxError
from enclaved.sandbox.limits import Limits
from enclaved.sandbox.outcome import Outcome
from enclaved.sandbox.wasm_binary import read_binary
from hypothesis import given
from hypothesis import strategies as st
from sandbox_harness import HONEST, Sandbox, descendants
from wasm_guests import ALLOC, ECHO, guest, write_guest

GOOD = guest(ECHO)
HANDLE = '(func (export "enclaved_handle") (param i32 i32) (result i64) (i64.const 0))'
TOP = "(global $top (mut i32) (i32.const 8))"


def module(*parts: str) -> bytes:
    """Return a module of these parts."""
    return bytes(wasmtime.wat2wasm(f"(module {' '.join(parts)})"))


MEMORY = '(memory (export "memory") 1)'

REFUSED = {
    "text": (b"(module)", "no WebAssembly binary"),
    "nothing": (b"", "no WebAssembly binary"),
    "component": (b"\0asm\x0d\0\1\0", "a component"),
    "other version": (b"\0asm\2\0\0\0", "version"),
    "cut": (GOOD[:-3], "cut or damaged"),
    "damaged": (GOOD.replace(b"\x20\x00", b"\xff\xff"), "wasmtime refuses it"),
    "start function": (module(MEMORY, "(func $go) (start $go)"), "start function"),
    "imports": (module('(import "env" "now" (func))', MEMORY, TOP, ALLOC, HANDLE), "imports env.now"),
    "imported memory": (module('(import "env" "memory" (memory 1))'), "imports env.memory"),
    "shared memory": (bytes.fromhex("0061736d0100000005040103 0101"), "shared"),
    "64-bit memory": (module('(memory (export "memory") i64 1)'), "64-bit"),
    "two memories": (module(MEMORY, "(memory 1)"), "not its only one"),
    "too much memory": (guest(ECHO, memory="300"), "300 pages of memory and may have 256"),
    "no memory": (module(HANDLE), "no memory named memory"),
    "hidden memory": (module("(memory 1)", TOP, ALLOC, HANDLE), "no memory named memory"),
    "no alloc": (module(MEMORY, HANDLE), "no function enclaved_alloc"),
    "no handle": (module(MEMORY, TOP, ALLOC), "no function enclaved_handle"),
    "handle is no function": (
        module(MEMORY, TOP, ALLOC, '(global (export "enclaved_handle") i32 (i32.const 0))'),
        "no function enclaved_handle",
    ),
    "wrong handle": (
        module(MEMORY, TOP, ALLOC, '(func (export "enclaved_handle") (param i32) (result i32) (i32.const 0))'),
        r"\(i32\) -> i32 and has to be \(i32, i32\) -> i64",
    ),
    "command": (module(MEMORY, TOP, ALLOC, HANDLE, '(func (export "_start"))'), "exports _start"),
    "reactor": (module(MEMORY, TOP, ALLOC, HANDLE, '(func (export "_initialize"))'), "exports _initialize"),
    "data that does not fit": (guest(ECHO, more='(data (i32.const 65535) "ab")'), "wasmtime refuses it"),
}


@pytest.mark.parametrize("kind", REFUSED)
async def test_what_could_not_run_is_refused_at_its_start(wasm_sandbox: Sandbox, kind: str) -> None:
    """The error names the module's file and says what to do; nothing is left running."""
    code, problem = REFUSED[kind]

    with pytest.raises(ConfigurationError, match=problem) as refused:
        await wasm_sandbox.engine.start(write_guest(wasm_sandbox.folder, code))

    assert "probe.wasm" in refused.value.where
    assert refused.value.remedy
    assert descendants(wasm_sandbox.launcher.pid) == []


async def test_a_function_can_be_mended_and_started(wasm_sandbox: Sandbox) -> None:
    """A refusal leaves nothing behind that would stand in the way."""
    with pytest.raises(ConfigurationError):
        await wasm_sandbox.engine.start(write_guest(wasm_sandbox.folder, b""))
    await wasm_sandbox.engine.start(write_guest(wasm_sandbox.folder, GOOD))

    assert (await wasm_sandbox.run(HONEST)).outcome is Outcome.OK


async def test_a_file_that_is_missing_is_a_fault(wasm_sandbox: Sandbox) -> None:
    """The registry has seen it, so somebody took it away since."""
    function = write_guest(wasm_sandbox.folder, GOOD)
    (function.folder / "probe.wasm").unlink()

    with pytest.raises(SandboxError, match="FileNotFoundError"):
        await wasm_sandbox.engine.start(function)


async def test_more_memory_than_a_module_can_have_is_refused(wasm_sandbox: Sandbox) -> None:
    """Its addresses have 32 bits."""
    function = write_guest(wasm_sandbox.folder, GOOD, limits=Limits(memory_mib=4097))

    with pytest.raises(ConfigurationError) as refused:
        await wasm_sandbox.engine.start(function)
    assert "memory_mib" in refused.value.where


async def test_what_compilers_export_besides_does_no_harm(wasm_sandbox: Sandbox) -> None:
    """Rust and clang leave globals and tables there."""
    more = '(table (export "__indirect_function_table") 4 funcref) (global (export "__heap_base") i32 (i32.const 9))'
    await wasm_sandbox.engine.start(write_guest(wasm_sandbox.folder, guest(ECHO, more=more)))

    assert (await wasm_sandbox.run(HONEST)).output == HONEST


def test_a_modules_own_memory_is_read_from_its_bytes() -> None:
    """In bytes, before anything is compiled."""
    assert read_binary(guest(ECHO, memory="3 9"), where="x").memory_bytes == 3 * 65536
    assert read_binary(module(), where="x") == (False, 0, True)


@given(data=st.binary(max_size=200), cut=st.integers(0, len(GOOD)))
def test_no_bytes_escape_as_another_error(data: bytes, cut: int) -> None:
    """Whatever a module's file holds."""
    for code in (data, b"\0asm\1\0\0\0" + data, GOOD[:cut] + data):
        with suppress(ConfigurationError):
            read_binary(code, where="x")
