"""A WebAssembly module, checked and compiled, and its instances: the one file that knows wasmtime.

A module has no imports, so all that it can reach is its own memory, and what it computes
depends on its input alone: no clock, no chance, no thread, and NaNs of one form. Each
invocation gets an instance of its own, whose memory is given back to the kernel after it.

The C interface is called directly, since wasmtime's public Python classes cost an
invocation twice the time; so the version is pinned.
"""

from __future__ import annotations

import ctypes
from ctypes import byref
from types import TracebackType
from typing import Any, Final, Self, cast

from wasmtime import Config, Engine, FuncType, Linker, MemoryType, Module, Trap, TrapCode, WasmtimeError
from wasmtime import _bindings as c

from enclaved.errors import ConfigurationError
from enclaved.sandbox.answer import Status
from enclaved.sandbox.wasm_binary import PAGE, WasmBinary, read_binary

__all__ = ["GuestError", "Instance", "Program"]

_ALLOC: Final = "enclaved_alloc"
_HANDLE: Final = "enclaved_handle"
_MEMORY: Final = "memory"
_SIGNATURES: Final = {_ALLOC: (["i32"], ["i32"]), _HANDLE: (["i32", "i32"], ["i64"])}
_ENTRIES_OF_OTHERS: Final = ("_start", "_initialize")
_MAX_TABLE_ELEMENTS: Final = 100_000
_MAX_TABLES: Final = 4
_RESERVATION: Final = 4 << 30  # all that 32-bit addresses reach: what is beyond the memory then traps by itself
_U32: Final = 0xFFFF_FFFF
_U64: Final = 0xFFFF_FFFF_FFFF_FFFF
_NO_FINALIZER: Final = ctypes.cast(0, ctypes.CFUNCTYPE(None, ctypes.c_void_p))
_ABI_REMEDY: Final = "functions/README.md shows what a module exports."

_view = ctypes.pythonapi.PyMemoryView_FromMemory
_view.restype = ctypes.py_object
_view.argtypes = [ctypes.c_void_p, ctypes.c_ssize_t, ctypes.c_int]
_WRITABLE: Final = 0x200  # PyBUF_WRITE


class GuestError(Exception):
    """A module did not do what a function has to.

    Attributes:
        status: what its caller is told.
        text: the same in words.
    """

    def __init__(self, status: Status, text: str) -> None:
        super().__init__(text)
        self.status = status
        self.text = text


class Program:
    """A compiled module, from which instances are made, one at a time.

    Args:
        code: the module's bytes.
        where: its file, for errors.
        memory_bytes: the most memory that an instance may have.

    Raises:
        ConfigurationError: it is no module that could run here.
    """

    def __init__(self, code: bytes, *, where: str, memory_bytes: int) -> None:
        self.memory_bytes = memory_bytes // PAGE * PAGE
        _check_binary(read_binary(code, where=where), where=where, memory_bytes=self.memory_bytes)
        self._engine = Engine(_configure(self.memory_bytes))
        try:
            module = Module(self._engine, code)
            _check_interface(module, where=where)
            self._template = Linker(self._engine).instantiate_pre(module)
            with self.instantiate():  # its data may not fit into its memory
                pass
        except (WasmtimeError, Trap) as error:
            raise ConfigurationError(where, f"wasmtime refuses it: {error}", remedy="Build it anew.") from error

    def instantiate(self) -> Instance:
        """Make a fresh instance; close it before the next is made."""
        return Instance(self._engine, self._template.ptr(), memory_bytes=self.memory_bytes)

    def interrupt(self) -> None:
        """Have the instance that runs now trap; may be called from another thread."""
        self._engine.increment_epoch()


class Instance:
    """One instance, for one invocation.

    Args:
        engine: runs it.
        template: the module, linked.
        memory_bytes: the most memory that it may have.
    """

    def __init__(self, engine: Engine, template: object, *, memory_bytes: int) -> None:
        self._memory_bytes = memory_bytes
        self._store: Any = c.wasmtime_store_new(engine.ptr(), None, _NO_FINALIZER)
        self._context = c.wasmtime_store_context(self._store)
        c.wasmtime_store_limiter(self._store, memory_bytes, _MAX_TABLE_ELEMENTS, 1, _MAX_TABLES, 1)
        self._values = (c.wasmtime_val_raw_t * 2)()
        self._trap: Any = ctypes.POINTER(c.wasm_trap_t)()  # false while it points nowhere
        self.restart_clock()
        try:
            self._instance = c.wasmtime_instance_t()
            self._finish(
                c.wasmtime_instance_pre_instantiate(template, self._context, byref(self._instance), byref(self._trap))
            )
            self._memory = self._export(_MEMORY).memory
            self._alloc = self._export(_ALLOC).func
            self._handle = self._export(_HANDLE).func
        except BaseException:
            self.close()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None) -> None:
        self.close()

    def close(self) -> None:
        """Drop the instance and its memory; views of it must be released by then."""
        if self._store is not None:
            c.wasmtime_store_delete(self._store)
            self._store = None

    def restart_clock(self) -> None:
        """Forget earlier interrupts: from now on, the next one counts."""
        c.wasmtime_context_set_epoch_deadline(self._context, 1)

    def allocate(self, length: int) -> int:
        """Have the module set memory aside for an input.

        Args:
            length: the input's length.

        Returns:
            Its address, which is yet to be believed.

        Raises:
            GuestError: the module trapped, or has no memory for it.
        """
        self._values[0].i32 = length
        self._call(self._alloc, 1)
        pointer = self._values[0].i32 & _U32
        if pointer == 0 and length:
            raise GuestError(Status.MEMORY, f"{_ALLOC} has no {length} bytes for the input")
        return pointer

    def handle(self, pointer: int, length: int) -> tuple[int, int]:
        """Have the module work on its input.

        Args:
            pointer: where the input is.
            length: its length.

        Returns:
            Address and length of the output, which are yet to be believed.

        Raises:
            GuestError: the module trapped.
        """
        self._values[0].i32, self._values[1].i32 = pointer, length
        self._call(self._handle, 2)
        packed = self._values[0].i64 & _U64
        return packed >> 32, packed & _U32

    def view(self, pointer: int, length: int, *, what: str) -> memoryview:
        """Return a part of its memory, without a copy; release it before the module runs on.

        Args:
            pointer: where it begins.
            length: how long it is.
            what: what lies there, for errors.

        Raises:
            GuestError: it does not lie within the memory.
        """
        if pointer + length > self._size():
            raise GuestError(Status.FAILED, f"{what} does not lie within its memory")
        if length == 0:
            return memoryview(bytearray())
        base = ctypes.addressof(c.wasmtime_memory_data(self._context, byref(self._memory)).contents)
        return cast("memoryview", _view(base + pointer, length, _WRITABLE))

    def _size(self) -> int:
        return int(c.wasmtime_memory_data_size(self._context, byref(self._memory)))

    def _call(self, function: object, arguments: int) -> None:
        # Unchecked: the signatures were checked once, when the module was compiled.
        error = c.wasmtime_func_call_unchecked(
            self._context, byref(cast("Any", function)), self._values, arguments, byref(self._trap)
        )
        try:
            self._finish(error)
        except Trap as trap:
            raise self._explain(trap) from trap
        except WasmtimeError as error:
            raise GuestError(Status.FAILED, str(error)) from error

    def _finish(self, error: Any) -> None:  # noqa: ANN401 - a pointer of wasmtime's C interface
        """Raise what a call into wasmtime left: an error, a trap, or nothing."""
        if error:
            raise WasmtimeError._from_ptr(error)  # noqa: SLF001 - wasmtime's own way from a pointer to its error
        if self._trap:
            trap, self._trap = self._trap, ctypes.POINTER(c.wasm_trap_t)()
            raise Trap._from_ptr(trap)  # noqa: SLF001 - the same for a trap

    def _explain(self, trap: Trap) -> GuestError:
        text = _message(trap)
        if trap.trap_code is TrapCode.INTERRUPT:
            return GuestError(Status.TIME, text)
        # A module that is refused memory traps in its own way. One that had taken up most of what
        # it may is taken at its word; there is no sign of it but that.
        if 2 * self._size() > self._memory_bytes:
            return GuestError(
                Status.MEMORY, f"trapped when it had {self._size()} of {self._memory_bytes} bytes: {text}"
            )
        return GuestError(Status.FAILED, text)

    def _export(self, name: str) -> Any:  # noqa: ANN401 - a union of wasmtime's C interface
        item = c.wasmtime_extern_t()
        encoded = name.encode()
        c.wasmtime_instance_export_get(self._context, byref(self._instance), encoded, len(encoded), byref(item))
        return item.of


def _message(trap: Trap) -> str:
    try:
        return trap.message
    except UnicodeDecodeError:  # names of functions are the module's own
        return "trapped"


def _configure(memory_bytes: int) -> Config:
    config = Config()
    config.parallel_compilation = False  # its threads would not survive the fork
    config.epoch_interruption = True
    config.cranelift_nan_canonicalization = True
    config.memory_init_cow = False  # would map a file of wasmtime's own for each module
    config.memory_reservation = _RESERVATION
    for feature in ("threads", "memory64", "multi_memory", "relaxed_simd", "component_model", "gc", "exceptions"):
        setattr(config, f"wasm_{feature}", False)
    for feature in ("function_references", "custom_page_sizes", "stack_switching", "wide_arithmetic"):
        setattr(config, f"wasm_{feature}", False)
    config.shared_memory = False
    pool = c.wasmtime_pooling_allocation_config_new()
    for count in ("core_instances", "memories"):  # one place, emptied after each invocation
        getattr(c, f"wasmtime_pooling_allocation_config_total_{count}_set")(pool, 1)
    for count in ("component_instances", "stacks", "gc_heaps"):
        getattr(c, f"wasmtime_pooling_allocation_config_total_{count}_set")(pool, 0)
    c.wasmtime_pooling_allocation_config_total_tables_set(pool, _MAX_TABLES)
    c.wasmtime_pooling_allocation_config_max_tables_per_module_set(pool, _MAX_TABLES)
    c.wasmtime_pooling_allocation_config_table_elements_set(pool, _MAX_TABLE_ELEMENTS)
    c.wasmtime_pooling_allocation_config_max_memory_size_set(pool, memory_bytes)
    c.wasmtime_pooling_allocation_config_linear_memory_keep_resident_set(pool, 0)
    c.wasmtime_pooling_allocation_strategy_set(config.ptr(), pool)
    c.wasmtime_pooling_allocation_config_delete(pool)
    return config


def _check_binary(binary: WasmBinary, *, where: str, memory_bytes: int) -> None:
    if binary.starts_itself:
        raise ConfigurationError(
            where, "it has a start function, which would run before any input", remedy="Link it with --no-entry."
        )
    if not binary.is_plain_memory:
        raise ConfigurationError(
            where, "its memory is shared, 64-bit or not its only one", remedy="Build it for wasm32, without threads."
        )
    if binary.memory_bytes > memory_bytes:
        raise ConfigurationError(
            where,
            f"it starts with {binary.memory_bytes // PAGE} pages of memory and may have {memory_bytes // PAGE}",
            remedy="Raise limits.memory_mib, or link it with a smaller --initial-memory or stack.",
        )


def _check_interface(module: Module, *, where: str) -> None:
    imports = [f"{each.module}.{each.name}" for each in module.imports]
    if imports:
        raise ConfigurationError(
            where,
            f"it imports {', '.join(imports[:4])}" + (" and others" if len(imports) > 4 else ""),
            remedy="A function gets its input and nothing else: build it without WASI and without undefined names.",
        )
    exports = {each.name: each.type for each in module.exports}
    for name in _ENTRIES_OF_OTHERS:
        if name in exports:
            raise ConfigurationError(
                where,
                f"it exports {name}, which nobody calls",
                remedy="Build a library: clang -nostdlib -Wl,--no-entry.",
            )
    if not isinstance(exports.get(_MEMORY), MemoryType):
        raise ConfigurationError(where, f"it exports no memory named {_MEMORY}", remedy=_ABI_REMEDY)
    for name, (parameters, results) in _SIGNATURES.items():
        kind = exports.get(name)
        if not isinstance(kind, FuncType):
            raise ConfigurationError(where, f"it exports no function {name}", remedy=_ABI_REMEDY)
        found = ([str(each) for each in kind.params], [str(each) for each in kind.results])
        if found != (parameters, results):
            raise ConfigurationError(
                where,
                f"{name} is {_signature(*found)} and has to be {_signature(parameters, results)}",
                remedy=_ABI_REMEDY,
            )


def _signature(parameters: list[str], results: list[str]) -> str:
    return f"({', '.join(parameters)}) -> {', '.join(results) or 'nothing'}"
