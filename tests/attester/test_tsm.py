"""configfs-tsm as a device: entries, generations, providers, certificates."""

from __future__ import annotations

import errno
import os
from collections.abc import Callable
from pathlib import Path

import pytest
from enclaved.attester import tsm
from enclaved.attester.device import DeviceOptions
from enclaved.attester.devices import open_device
from enclaved.attester.tsm import TsmDevice
from enclaved.errors import DeviceError, EvidenceError
from enclaved.verifier.authenticate import authenticate
from enclaved.verifier.checks import Checks
from simulation import DIGEST, NOON, FixedClock
from snp_forgery import make_chip, make_report, make_service
from tsm_fake import FakeFiles, FakeTsm, Item

SERVICE = make_service()
CHIP = make_chip(SERVICE)
BINDING = bytes(range(64))
FOLDER = Path("/sys/kernel/config/tsm/report")
VCEK, ASK = bytes.fromhex("63da758de6644564adc5f4b93be8accd"), bytes.fromhex("4ab7b379bbac4fe4a02f05aef327c782")
ARK = bytes.fromhex("c0b406a4a803495297433fb6014cd0ae")


def _table(entries: dict[bytes, bytes]) -> bytes:
    """Return a certificate table as hosts give it."""
    offset = 24 * (len(entries) + 1)
    header = contents = b""
    for guid, certificate in entries.items():
        at = offset + len(contents)
        header += guid + at.to_bytes(4, "little") + len(certificate).to_bytes(4, "little")
        contents += certificate
    return header + bytes(24) + contents


TABLE = _table({VCEK: CHIP.key.der, ASK: SERVICE.authority.der, ARK: SERVICE.root.der})


def _sign(inblob: bytes, privlevel: int) -> bytes:
    return make_report(CHIP, turned={0x50: inblob, 0x30: privlevel.to_bytes(4, "little")})


def _snp(**turned: object) -> FakeTsm:
    return FakeTsm(**({"provider": "sev_guest", "make_report": _sign, "auxblob": TABLE} | turned))


def _tdx(**turned: object) -> FakeTsm:
    return FakeTsm(
        **(
            {"provider": "tdx_guest", "make_report": lambda inblob, _: b"Q" + inblob, "auxblob": None, "floor": None}
            | turned
        )
    )


def _device(fake: FakeTsm, endorsements: dict[str, dict[str, bytes]] | None = None) -> TsmDevice:
    return TsmDevice(FOLDER, FakeFiles(fake), endorsements=endorsements or {})


def _wrote(fake: FakeTsm, times: int, attribute: str = "outblob") -> Callable[[Item, str], None]:
    """Return somebody else, who writes to an entry after the first reads of an attribute."""
    left = [times]

    def write(item: Item, read: str) -> None:
        if read == attribute and left[0]:
            left[0] -= 1
            item.inblob, item.generation = b"somebody else's", item.generation + 1

    return write


# What is asked, and what comes out.


def test_report_of_sev_snp_carries_the_binding_and_the_hosts_certificates() -> None:
    """The whole way: entry, report, certificate table, our verifier."""
    evidence = _device(_snp()).attest(BINDING)
    claims = authenticate(evidence, at=NOON, roots=SERVICE.roots, checks=Checks())

    assert claims.format == "sev-snp"
    assert claims.bound_data == BINDING
    assert sorted(evidence.endorsements) == ["ark.pem", "ask.pem", "vcek.der"]


def test_released_roots_refuse_the_fake() -> None:
    """It signs for real, and AMD did not certify it."""
    with pytest.raises(EvidenceError) as refused:
        authenticate(_device(_snp()).attest(BINDING), at=NOON, checks=Checks())

    assert refused.value.step == "chain: root"


def test_quote_of_tdx_has_neither_privilege_level_nor_certificates() -> None:
    """The kernel hides attributes that the hardware has no use for."""
    fake = _tdx()
    evidence = _device(fake).attest(BINDING)

    assert (evidence.format, evidence.report, evidence.endorsements) == ("tdx", b"Q" + BINDING, {})
    assert fake.log == [("inblob", BINDING)]


@pytest.mark.parametrize("floor", [0, 2])
def test_privilege_level_is_the_highest_that_the_kernel_may_ask_for(floor: int) -> None:
    """In ASCII: the raw byte that some programs write is refused by the kernel."""
    fake = _snp(floor=floor)
    _device(fake).attest(BINDING)

    assert fake.log == [("privlevel", str(floor).encode()), ("inblob", BINDING)]


def test_host_without_certificates_gives_a_report_alone() -> None:
    """The relying party can get them from AMD."""
    assert _device(_snp(auxblob=b"")).attest(BINDING).endorsements == {}


def test_operators_endorsements_travel_with_the_evidence() -> None:
    """Those for the other provider stay at home."""
    endorsements = {"sev-snp": {"ark.crl": b"list", "ark.pem": b"another"}, "tdx": {"tcb_info.json": b"{}"}}
    evidence = _device(_snp(), endorsements).attest(BINDING)

    assert evidence.endorsements["ark.crl"] == b"list"
    assert evidence.endorsements["ark.pem"] == SERVICE.root.pem, "the host's own is about this very chip"
    assert "tcb_info.json" not in evidence.endorsements


def test_every_request_has_an_entry_of_its_own_and_leaves_none() -> None:
    """Two requests in one entry would see each other's writes."""
    fake = _snp()
    device = _device(fake)
    device.attest(BINDING)
    device.attest(BINDING)

    assert fake.made == 3, "one to ask for the provider, one for each request"
    assert fake.items == {}


# Races.


@pytest.mark.parametrize("attribute", ["outblob", "auxblob", "provider"])
def test_write_of_somebody_else_is_noticed_and_asked_again(attribute: str) -> None:
    """Otherwise the report would be over bytes that are not ours, or its certificates another's."""
    fake = _snp()
    device = _device(fake)
    fake.after_read = _wrote(fake, 1, attribute)
    evidence = device.attest(BINDING)

    assert evidence.report[0x50:0x90] == BINDING
    assert fake.made == 3, "in a new entry"
    assert fake.items == {}


def test_write_before_the_report_is_read_is_noticed() -> None:
    """The report is then over the other's bytes."""
    fake = _tdx()
    device = _device(fake)
    fake.after_read = _wrote(fake, 1, "generation")

    assert device.attest(BINDING).report == b"Q" + BINDING


def test_somebody_who_writes_to_every_entry_is_an_error() -> None:
    """Three times is no coincidence."""
    fake = _snp()
    device = _device(fake)
    fake.after_read = _wrote(fake, 1000)

    with pytest.raises(DeviceError, match="generation conflict"):
        device.attest(BINDING)
    assert fake.made == 1 + 3
    assert fake.items == {}


def test_busy_entry_is_left_for_a_new_one() -> None:
    """The kernel says EBUSY when the count of writes would wrap round to a generation that was read."""
    fake = _tdx()
    device = _device(fake)
    write = fake.write
    refusals = [OSError(errno.EBUSY, os.strerror(errno.EBUSY))]

    def busy(name: str, attribute: str, contents: bytes) -> None:
        if refusals:
            raise refusals.pop()
        write(name, attribute, contents)

    fake.write = busy  # type: ignore[method-assign]

    assert device.attest(BINDING).report == b"Q" + BINDING
    assert fake.items == {}


# What goes wrong.


def test_unknown_provider_is_refused() -> None:
    """Nothing here reads its evidence."""
    with pytest.raises(DeviceError, match="arm_cca_guest"):
        _device(_snp(provider="arm_cca_guest"))


def test_kernel_without_a_provider_is_refused() -> None:
    """The folder is there, and no entry can be made in it."""
    with pytest.raises(DeviceError, match="no entry can be made"):
        _device(_snp(provider=""))


def test_provider_that_changes_is_refused() -> None:
    """The enclave has announced a format."""
    fake = _snp()
    device = _device(fake)
    fake.provider = "tdx_guest"

    with pytest.raises(DeviceError, match="has become"):
        device.attest(BINDING)
    assert fake.items == {}


@pytest.mark.parametrize("number", [errno.EINVAL, errno.EIO, errno.ENXIO, errno.EFBIG, errno.ETIMEDOUT])
def test_hardware_that_refuses_is_an_error_of_the_device(number: int) -> None:
    """And the entry is removed all the same."""

    def refuse(_: bytes, __: int) -> bytes:
        raise OSError(number, os.strerror(number))

    fake = _snp(make_report=refuse)
    with pytest.raises(DeviceError, match="outblob"):
        _device(fake).attest(BINDING)
    assert fake.items == {}


def test_report_of_no_bytes_or_too_many_is_refused() -> None:
    """Sizes before contents."""
    with pytest.raises(DeviceError, match="empty"):
        _device(_tdx(make_report=lambda *_: b"")).attest(BINDING)
    with pytest.raises(DeviceError, match="more than"):
        _device(_tdx(make_report=lambda *_: bytes((64 << 10) + 1))).attest(BINDING)


def test_level_that_is_none_is_refused() -> None:
    """What the kernel says is not written back to it unread."""
    with pytest.raises(DeviceError, match="no privilege level"):
        _device(_snp(floor=7)).attest(BINDING)


@pytest.mark.parametrize("size", [0, 32, 63, 65])
def test_binding_of_another_size_is_never_written(size: int) -> None:
    """The kernel takes shorter ones, and pads them."""
    fake = _snp()
    with pytest.raises(DeviceError, match="64 bytes"):
        _device(fake).attest(bytes(size))

    assert fake.log == []


def test_machine_without_the_interface_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Asked for by name, it is not silently another device."""
    monkeypatch.setattr(tsm, "TSM_FOLDER", tmp_path / "report")
    options = DeviceOptions(state=tmp_path, clock=FixedClock(), runtime_digest=DIGEST)

    with pytest.raises(DeviceError, match="No such file"):
        open_device("tsm", options)
