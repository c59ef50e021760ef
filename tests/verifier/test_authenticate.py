"""Stage one, as far as it is the same for all formats."""

from __future__ import annotations

from datetime import datetime

import msgspec
import pytest
from enclaved.errors import EvidenceError
from enclaved.verifier import authenticate as stage_one
from enclaved.verifier.authenticate import authenticate
from enclaved.verifier.checks import Checks
from enclaved.verifier.format import Format
from enclaved.verifier.formats import FORMATS, find_format
from enclaved.verifier.roots import RELEASED_ROOTS
from enclaved.wire.attestation import Evidence
from enclaved.wire.limits import MAX_ATTESTATION, MAX_ENDORSEMENT, MAX_REPORT
from simulation import NOON, make_device

GOOD = make_device().attest(bytes(64))


def _refused(evidence: Evidence) -> EvidenceError:
    with pytest.raises(EvidenceError) as refused:
        authenticate(evidence, at=NOON, checks=Checks())
    return refused.value


def test_unknown_format_is_unsupported() -> None:
    """A format is never guessed from the bytes."""
    error = _refused(msgspec.structs.replace(GOOD, format="another"))

    assert (error.code, error.step) == ("unsupported", "format")
    with pytest.raises(EvidenceError):
        find_format("another")


@pytest.mark.parametrize("name", ["another.der", "../device.der", "simulated.cbor", "Device.der", ""])
def test_endorsement_that_is_not_the_formats_is_unreadable(name: str) -> None:
    """What nobody checks must not ride along."""
    error = _refused(msgspec.structs.replace(GOOD, endorsements=GOOD.endorsements | {name: b"x"}))

    assert (error.code, error.step) == ("unreadable", "files")


@pytest.mark.parametrize("size", [0, MAX_REPORT + 1])
def test_report_of_no_possible_size_is_unreadable(size: int) -> None:
    """Sizes come before contents."""
    error = _refused(msgspec.structs.replace(GOOD, report=bytes(size)))

    assert (error.code, error.step) == ("unreadable", "files")


@pytest.mark.parametrize("size", [0, MAX_ENDORSEMENT + 1])
def test_endorsement_of_no_possible_size_is_unreadable(size: int) -> None:
    """Sizes come before contents, for what vouches too."""
    error = _refused(msgspec.structs.replace(GOOD, endorsements=GOOD.endorsements | {"root.der": bytes(size)}))

    assert (error.code, error.step) == ("unreadable", "files")


def _with_format(monkeypatch: pytest.MonkeyPatch, **turned: object) -> None:
    """Put a format into the table that differs from the simulated one."""
    good = FORMATS["simulated"]
    fields = {name: getattr(good, name) for name in Format.__slots__} | turned
    monkeypatch.setattr(stage_one, "FORMATS", {"simulated": Format(**fields)})


@pytest.mark.parametrize(
    ("files", "size"), [(40, 1), (5, MAX_ENDORSEMENT)], ids=["too many", f"more than {MAX_ATTESTATION} bytes"]
)
def test_too_much_is_unreadable(monkeypatch: pytest.MonkeyPatch, files: int, size: int) -> None:
    """A format with patterns for names still has a bound on the whole."""
    _with_format(monkeypatch, endorsement_files=("*.crl",))
    endorsements = {f"{number}.crl": bytes(size) for number in range(files)}

    error = _refused(msgspec.structs.replace(GOOD, endorsements=endorsements))

    assert (error.code, error.step) == ("unreadable", "files")


def test_pattern_names_no_file_in_another_folder(monkeypatch: pytest.MonkeyPatch) -> None:
    """A name is joined to a folder's path when evidence is written."""
    _with_format(monkeypatch, endorsement_files=("*.crl",))

    assert _refused(msgspec.structs.replace(GOOD, endorsements={"../a.crl": b"x"})).step == "files"


def test_claims_of_another_format_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """A format's rules would misread another format's claims."""
    good = FORMATS["simulated"]
    monkeypatch.setattr(stage_one, "FORMATS", {"twin": good})

    error = _refused(msgspec.structs.replace(GOOD, format="twin"))

    assert (error.code, error.step) == ("not_authentic", "format")


def test_simulation_under_a_formats_name_that_is_none_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """Only the row in the table says what is a simulation."""
    _with_format(monkeypatch, simulated=False)

    assert _refused(GOOD).step == "simulated"


def test_time_without_a_zone_is_a_mistake() -> None:
    """Validity by an unknown zone's clock means nothing."""
    with pytest.raises(ValueError, match="aware"):
        authenticate(GOOD, at=datetime(2026, 11, 21, 12), checks=Checks())  # noqa: DTZ001 - the very mistake


def test_released_roots_cannot_be_changed() -> None:
    """Whoever could add a root could make up the hardware."""
    with pytest.raises(TypeError):
        RELEASED_ROOTS.fingerprints["amd-milan"] = frozenset()  # type: ignore[index]
    assert RELEASED_ROOTS.of("no such name") == frozenset()
    assert all(len(digest) == 32 for name in RELEASED_ROOTS.fingerprints for digest in RELEASED_ROOTS.of(name))
