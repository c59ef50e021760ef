"""A manifest is read whole or refused, with the key that is wrong and what to do."""

from __future__ import annotations

import base64

import pytest
from enclave_world import caller_key, recipient_key
from enclaved.enclave.manifest import Manifest, parse_manifest
from enclaved.errors import ConfigurationError
from hypothesis import given
from hypothesis import strategies as st

GOOD = {
    "name": '"redact"',
    "version": '"1.0.0"',
    "engine": '"python"',
    "entrypoint": '"handler:handle"',
    "callers": '"any"',
}
KEY = caller_key()[1]
RECIPIENT = recipient_key()[1]
WEAK = "x25519:" + base64.b64encode(bytes(32)).decode()


def text(more: str = "", **turned: str | None) -> bytes:
    """Return a good manifest with keys turned (None: left out), and more after them."""
    keys = {**GOOD, **turned}
    return ("".join(f"{key} = {value}\n" for key, value in keys.items() if value is not None) + more).encode()


def read(data: bytes) -> Manifest:
    """Parse a manifest."""
    return parse_manifest(data, where="f/function.toml")


def refused(data: bytes) -> ConfigurationError:
    """Return the error that a manifest is refused with."""
    with pytest.raises(ConfigurationError) as error:
        read(data)
    assert error.value.where.startswith("f/function.toml")
    assert error.value.remedy
    return error.value


def test_a_short_manifest_is_enough() -> None:
    """Five keys; the rest has defaults that open nothing."""
    manifest = read(text())

    assert (manifest.name, manifest.caller_keys, manifest.triggers, manifest.output) == ("redact", None, (), None)
    assert (manifest.limits.time_ms, manifest.limits.memory_mib) == (2000, 256)


def test_a_full_manifest_is_read() -> None:
    """Every key once."""
    manifest = read(
        text(
            'description = "one line"\ncontent_type = "text/plain"\npreload = ["numpy", "a.b"]\n'
            "[limits]\ntime_ms = 5\nmemory_mib = 16\ninput_bytes = 0\noutput_bytes = 7\n"
            '[trigger]\ntopics = ["ward/+/vitals", "all/#"]\n'
            f'[output]\ntopic = "alarms"\nrecipients = ["{RECIPIENT}"]\n'
            '[sample]\ninput = "in.txt"\noutput = "out.txt"\ncontent_type = "text/plain"\n',
            callers=f'["{KEY}"]',
        )
    )

    assert manifest.callers == (KEY,)
    assert manifest.caller_keys == {base64.b64decode(KEY.removeprefix("ed25519:"))}
    assert manifest.triggers == ("ward/+/vitals", "all/#")
    assert manifest.output is not None
    assert manifest.output.topic == "alarms"
    assert manifest.preload == ("numpy", "a.b")


def test_webassembly_names_a_module() -> None:
    """Where Python has an entrypoint; the manifest keeps either as what runs."""
    manifest = read(text(engine='"wasm"', entrypoint=None, module='"build/words.wasm"'))

    assert (manifest.engine, manifest.entrypoint) == ("wasm", "build/words.wasm")


@pytest.mark.parametrize(
    ("turned", "key"),
    [
        ({"engine": '"wasm"'}, "entrypoint"),
        ({"engine": '"wasm"', "module": '"a.wasm"'}, "entrypoint"),
        ({"engine": '"wasm"', "entrypoint": None}, "module"),
        ({"engine": '"wasm"', "entrypoint": None, "module": '"a.wat"'}, "module"),
        ({"engine": '"wasm"', "entrypoint": None, "module": '"a.wasm"', "preload": '["numpy"]'}, "preload"),
        ({"engine": '"wasm"', "entrypoint": None, "module": '"a.wasm"', "limits": "{memory_mib = 4097}"}, "memory_mib"),
        ({"module": '"a.wasm"'}, "module"),
    ],
)
def test_what_the_engine_does_not_have_is_refused(turned: dict[str, str | None], key: str) -> None:
    """A key that nothing reads would be a wish that nobody fulfils."""
    assert refused(text(**turned)).where.endswith(key)


@pytest.mark.parametrize("key", GOOD)
def test_each_of_the_five_keys_is_needed(key: str) -> None:
    """`callers` above all: that anybody may call is written out."""
    assert key in str(refused(text(**{key: None})))


@pytest.mark.parametrize("key", GOOD)
@pytest.mark.parametrize("value", ["1", "true", "1.5", "{}", "[1]", "2026-11-21"])
def test_each_of_them_has_its_type(key: str, value: str) -> None:
    """No guessing: a number is no text."""
    refused(text(**{key: value}))


@pytest.mark.parametrize(
    "more",
    [
        "surprise = 1\n",
        "[limits]\ncpu = 1\n",
        '[trigger]\ntopics = ["a"]\nqos = 1\n',
        f'[output]\ntopic = "a"\nrecipients = ["{RECIPIENT}"]\nretain = true\n',
        '[sample]\ninput = "a"\nother = "b"\n',
        "[trigger]\n",
        '[output]\ntopic = "a"\n',
        f'[output]\nrecipients = ["{RECIPIENT}"]\n',
        "[sample]\n",
    ],
)
def test_an_unknown_or_a_missing_key_of_a_section_is_an_error(more: str) -> None:
    """A forgotten or misspelt line must not pass for a decision."""
    refused(text(more))


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("name", '""'),
        ("name", '"Upper"'),
        ("name", '"a/b"'),
        ("name", '"../x"'),
        ("name", '".hidden"'),
        ("name", '"' + "n" * 65 + '"'),
        ("version", '""'),
        ("version", '"' + "1" * 65 + '"'),
        ("version", '"1\\u0007"'),
        ("version", '"é"'),
        ("engine", '"ruby"'),
        ("entrypoint", '"handler"'),
        ("entrypoint", '"handler:"'),
        ("entrypoint", '":handle"'),
        ("entrypoint", '"handler:a.b"'),
        ("entrypoint", '"../x:handle"'),
        ("entrypoint", '"a..b:handle"'),
        ("entrypoint", '"os;x:handle"'),
        ("callers", '"anyone"'),
        ("callers", "[]"),
        ("callers", '["any"]'),
        ("callers", f'["{RECIPIENT}"]'),
        ("callers", f'["{KEY[:-4]}"]'),
        ("callers", f'["{KEY} "]'),
        ("callers", '["ed25519:' + base64.b64encode(bytes(31)).decode() + '"]'),
        ("callers", "[" + f'"{KEY}", ' * 1025 + "]"),
    ],
)
def test_a_value_that_cannot_be_is_an_error_that_names_its_key(key: str, value: str) -> None:
    """One thing turned."""
    assert key in str(refused(text(**{key: value})))


@pytest.mark.parametrize(
    ("key", "more"),
    [
        ("description", 'description = "' + "d" * 257 + '"\n'),
        ("description", 'description = "two\\nlines"\n'),
        ("content_type", 'content_type = "' + "c" * 129 + '"\n'),
        ("content_type", 'content_type = "text/plain\\n"\n'),
        ("content_type", 'content_type = "é"\n'),
        ("preload", 'preload = ["os;"]\n'),
        ("preload", 'preload = [""]\n'),
        ("preload", "preload = [" + '"a",' * 33 + "]\n"),
        ("limits.time_ms", "[limits]\ntime_ms = 0\n"),
        ("limits.time_ms", "[limits]\ntime_ms = 600001\n"),
        ("limits.time_ms", "[limits]\ntime_ms = 0x" + "f" * 5000 + "\n"),
        ("limits.memory_mib", "[limits]\nmemory_mib = 15\n"),
        ("limits.memory_mib", "[limits]\nmemory_mib = 65537\n"),
        ("limits.input_bytes", "[limits]\ninput_bytes = -1\n"),
        ("limits.input_bytes", "[limits]\ninput_bytes = 1048577\n"),
        ("limits.output_bytes", "[limits]\noutput_bytes = 1048577\n"),
        ("trigger.topics", "[trigger]\ntopics = []\n"),
        ("trigger.topics", "[trigger]\ntopics = [" + '"a",' * 33 + "]\n"),
        *(
            ("trigger.topics", f'[trigger]\ntopics = ["{topic}"]\n')
            for topic in (
                *("", "#", "+", "+/a", "$SYS/a", "$share/g/a", "enclaved/v1/x", "a/#/b", "a#", "a/b+", "a\\u0000"),
                "é" * 129,
            )
        ),
        *(
            ("output.topic", f'[output]\ntopic = "{topic}"\nrecipients = ["{RECIPIENT}"]\n')
            for topic in ("", "a/+", "a/#", "$SYS/a", "enclaved/v1/demo/reply/x", "a\\u0001", "/" * 40)
        ),
        ("output.recipients", '[output]\ntopic = "a"\nrecipients = []\n'),
        ("output.recipients", '[output]\ntopic = "a"\nrecipients = [' + f'"{RECIPIENT}",' * 17 + "]\n"),
        ("output.recipients", f'[output]\ntopic = "a"\nrecipients = ["{KEY}"]\n'),
        ("output.recipients", f'[output]\ntopic = "a"\nrecipients = ["{WEAK}"]\n'),
    ],
)
def test_an_optional_value_that_cannot_be_is_an_error_that_names_its_key(key: str, more: str) -> None:
    """One thing turned; a weak key would otherwise be found out by the first event."""
    assert key in str(refused(text(more)))


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\xff",
        b"\x00",
        b"name = ",
        b"x = " + b"[" * 20_000,
        text() + text(),
        text("[limits]\ntime_ms = " + "9" * 5000 + "\n"),
        text("a" + ".a" * 2_000 + " = 1\n"),
        text("[limits]\ntime_ms = nan\n"),
        text("# " + "x" * (64 << 10)),
    ],
    ids=["empty", "bytes", "nul", "cut", "deep", "twice", "digits", "dotted", "nan", "large"],
)
def test_what_is_not_a_manifest_at_all_is_an_error(data: bytes) -> None:
    """However it is broken, it is the person's configuration that is wrong, and the program says so."""
    refused(data)


@given(data=st.binary(max_size=200))
def test_no_bytes_escape_as_another_exception(data: bytes) -> None:
    """Anybody's file."""
    _read_or_refuse(data)


_values = st.recursive(
    st.one_of(
        st.booleans().map(lambda value: str(value).lower()),
        st.integers().map(str),
        st.floats().map(lambda value: repr(value).replace("e+", "e")),
        st.text(st.characters(min_codepoint=32, max_codepoint=0x2FF, exclude_characters='"\\\x7f'), max_size=20).map(
            lambda value: f'"{value}"'
        ),
    ),
    lambda values: st.lists(values, max_size=3).map(lambda each: f"[{', '.join(each)}]"),
    max_leaves=5,
)
_KEYS = [*GOOD, "description", "content_type", "preload", "limits", "trigger.topics", "output.topic", "limits.time_ms"]


@given(turned=st.dictionaries(st.sampled_from(_KEYS), _values, max_size=4))
def test_no_toml_escapes_as_another_exception(turned: dict[str, str]) -> None:
    """Any value of any type under any key."""
    _read_or_refuse(text(**turned))


def _read_or_refuse(data: bytes) -> None:
    try:
        read(data)
    except ConfigurationError:
        return
