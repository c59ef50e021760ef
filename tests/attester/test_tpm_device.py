"""TPM 2.0 as a device: a real software TPM, and connections that fail."""

from __future__ import annotations

import json
import os
import socket
import struct
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from enclaved.attester.device import DeviceOptions
from enclaved.attester.devices import open_device
from enclaved.attester.tpm import RUNTIME_PCR, TpmDevice
from enclaved.attester.tpm_commands import Quotation, Tpm
from enclaved.attester.tpm_connection import TpmConnection, open_connection
from enclaved.errors import DeviceError
from enclaved.verifier.authenticate import authenticate
from enclaved.verifier.checks import Checks
from enclaved.verifier.claims import Claims
from enclaved.wire.attestation import Evidence
from enclaved.wire.bundle import tpm_binding
from simulation import DIGEST, NOON, OTHER_DIGEST, FixedClock
from software_tpm import SoftwareTpm, needs_swtpm, needs_tools, start_tpm

BINDING = bytes(range(64))


@pytest.fixture
def tpm() -> Iterator[SoftwareTpm]:
    """A software TPM of new seeds."""
    with start_tpm() as started:
        yield started


def _options(tpm: SoftwareTpm, tmp_path: Path, runtime_digest: str = DIGEST) -> DeviceOptions:
    return DeviceOptions(state=tmp_path, clock=FixedClock(), runtime_digest=runtime_digest, tpm=tpm.path)


def _attest(tpm: SoftwareTpm, tmp_path: Path, runtime_digest: str = DIGEST, *, times: int = 1) -> Evidence:
    """Return the evidence of a device that is opened by its name, and closed again."""
    device = open_device("tpm", _options(tpm, tmp_path, runtime_digest))
    assert isinstance(device, TpmDevice)
    with closing(device):
        return [device.attest(BINDING) for _ in range(times)][-1]


def _claims(evidence: Evidence) -> Claims:
    return authenticate(evidence, at=NOON, checks=Checks())


def _pcr(claims: Claims) -> str:
    return str(claims.to_json()["pcrs"][str(RUNTIME_PCR)])  # type: ignore[call-overload, index]


# A real TPM.


@pytest.mark.swtpm
@needs_swtpm
def test_quote_carries_the_binding_and_is_authentic(tpm: SoftwareTpm, tmp_path: Path) -> None:
    """The whole way: key, PCRs, quote, our verifier."""
    claims = _claims(_attest(tpm, tmp_path))

    assert claims.bound_data == tpm_binding(BINDING)
    assert not claims.confidential
    assert claims.vendor["implementation"] == "tpm2-software"
    assert len(claims.to_json()["pcrs"]) == 24  # type: ignore[arg-type]


@pytest.mark.swtpm
@needs_swtpm
@needs_tools
def test_another_program_accepts_the_quote(tpm: SoftwareTpm, tmp_path: Path) -> None:
    """tpm2_checkquote was written by others; so were its ideas of what a quote is."""
    evidence = _attest(tpm, tmp_path)
    files = {"quote.msg": evidence.report, **evidence.endorsements}
    files["pcrs.bin"] = _serialized([bytes.fromhex(value) for value in json.loads(files["pcrs.json"])])
    for name, contents in files.items():
        (tpm.state / name).write_bytes(contents)
    command = ["tpm2_checkquote", "-u", "ak_pub.pem", "-m", "quote.msg", "-s", "quote.sig", "-f", "pcrs.bin", "-q"]
    tpm.tool(*command, tpm_binding(BINDING).hex())

    with pytest.raises(AssertionError, match="nonce"):
        tpm.tool(*command, tpm_binding(bytes(64)).hex())


def _serialized(pcrs: list[bytes]) -> bytes:
    """Return PCRs as tpm2-tools keep them: the structures of C, in memory's order."""
    selection = struct.pack("<IHB3sx", 1, 0x000B, 3, b"\xff\xff\xff").ljust(4 + 16 * 8, b"\0")
    lists = [pcrs[start : start + 8] for start in range(0, len(pcrs), 8)]
    digests = b"".join(struct.pack("<I", 8) + b"".join(struct.pack("<H64s", 32, v) for v in each) for each in lists)
    return selection + struct.pack("<I", len(lists)) + digests


@pytest.mark.swtpm
@needs_swtpm
@pytest.mark.parametrize("curve", ["rsa2048:rsassa-sha256", "rsa2048:rsassa-sha384", "ecc384:ecdsa-sha384"])
@needs_tools
def test_quotes_of_other_keys_and_tools_are_authentic(tpm: SoftwareTpm, curve: str) -> None:
    """Made by tpm2_quote, with a key of its own, over some PCRs of a bank."""
    key, scheme = curve.split(":")
    tpm.tool("tpm2_createprimary", "-C", "e", "-G", f"{key}:{scheme}:null", "-c", "k.ctx", *_ATTRIBUTES)
    tpm.tool("tpm2_flushcontext", "-t")
    tpm.tool("tpm2_readpublic", "-c", "k.ctx", "-f", "pem", "-o", "ak_pub.pem")
    command = ("tpm2_quote", "-c", "k.ctx", "-l", "sha384:0,7,23", "-q", "aabb", "-m", "quote.msg")
    for form in ("tss", "plain"):
        tpm.tool("tpm2_flushcontext", "-t")
        tpm.tool(*command, "-s", "quote.sig", "-f", form, "-g", scheme[-6:])
        names = ("ak_pub.pem", "quote.sig")
        evidence = Evidence(
            format="tpm",
            report=(tpm.state / "quote.msg").read_bytes(),
            endorsements={name: (tpm.state / name).read_bytes() for name in names},
        )
        claims = _claims(evidence)
        assert claims.bound_data == b"\xaa\xbb"
        assert claims.vendor["pcr_bank"] == "sha384"


_ATTRIBUTES = ("-a", "fixedtpm|fixedparent|sensitivedataorigin|userwithauth|restricted|sign|noda")


@pytest.mark.swtpm
@needs_swtpm
def test_key_is_the_same_after_a_restart(tmp_path: Path) -> None:
    """So that a policy can pin it; only a TPM of other seeds has another."""
    (tmp_path / "seeds").mkdir()
    keys = []
    for _ in range(2):
        with start_tpm(tmp_path / "seeds") as tpm:
            keys.append(_claims(_attest(tpm, tmp_path)).vendor["ak"])
    with start_tpm() as tpm:
        other = _claims(_attest(tpm, tmp_path)).vendor["ak"]

    assert keys[0] == keys[1] != other


@pytest.mark.swtpm
@needs_swtpm
def test_no_key_is_left_in_the_tpm(tpm: SoftwareTpm, tmp_path: Path) -> None:
    """It has room for three."""
    _attest(tpm, tmp_path, times=5)


@pytest.mark.swtpm
@needs_swtpm
def test_runtimes_digest_is_measured_once_and_another_shows(tmp_path: Path) -> None:
    """A runtime that is started anew leaves the PCR alone; another one does not hide behind the first."""
    with start_tpm() as tpm:
        digests = (DIGEST, DIGEST, OTHER_DIGEST)
        values = [_pcr(_claims(_attest(tpm, tmp_path, digest))) for digest in digests]

    assert values[0] == values[1] != values[2]
    assert values[0] != "00" * 32


@pytest.mark.swtpm
@needs_swtpm
def test_operators_certificates_travel_with_the_evidence(tpm: SoftwareTpm, tmp_path: Path) -> None:
    """And no file that was not asked for."""
    (tmp_path / "endorsements").mkdir()
    (tmp_path / "endorsements" / "ak_chain.pem").write_bytes(b"certificates")
    (tmp_path / "endorsements" / "notes.txt").write_bytes(b"mine")

    evidence = _attest(tpm, tmp_path)
    assert sorted(evidence.endorsements) == ["ak_chain.pem", "ak_pub.pem", "pcrs.json", "quote.sig"]


@pytest.mark.swtpm
@needs_swtpm
def test_tpm_that_was_not_started_says_what_to_do(tmp_path: Path) -> None:
    """Swtpm waits for a start-up command, unless it is told not to."""
    with start_tpm(flags="not-need-init") as tpm, pytest.raises(DeviceError, match="startup-clear"):
        _attest(tpm, tmp_path)


@pytest.mark.swtpm
@needs_swtpm
def test_tpm_that_ends_is_an_error_of_the_device() -> None:
    """Whoever held the connection is told, and nothing hangs."""
    with start_tpm() as tpm:
        device = TpmDevice(Tpm(open_connection(tpm.path)), endorsements={})
    with closing(device), pytest.raises(DeviceError, match="does not answer"):
        device.attest(BINDING)


# Connections that fail.


@dataclass
class Scripted:
    """A TPM that answers from a list."""

    answers: list[bytes | OSError]
    sent: list[bytes] = field(default_factory=list)

    def exchange(self, sent: bytes) -> bytes:
        """Return the next answer, the last one for ever."""
        self.sent.append(sent)
        answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        if isinstance(answer, OSError):
            raise answer
        return answer

    def close(self) -> None:
        """Do nothing."""


def _response(code: int = 0, body: bytes = b"", tag: int = 0x8001) -> bytes:
    return tag.to_bytes(2, "big") + (10 + len(body)).to_bytes(4, "big") + code.to_bytes(4, "big") + body


def _scripted(*answers: bytes | OSError, pauses: list[float] | None = None) -> tuple[Tpm, Scripted]:
    script = Scripted(list(answers))
    pause: Callable[[float], None] = (pauses if pauses is not None else []).append
    return Tpm(TpmConnection(script, where="tpm", pause=pause)), script


@pytest.mark.parametrize("code", [0x922, 0x908, 0x90A])
def test_busy_tpm_is_asked_again(code: int) -> None:
    """It says so itself: it is testing, was interrupted, or wants the command once more."""
    pauses: list[float] = []
    tpm, script = _scripted(_response(code), _response(code), _response(0x18B), pauses=pauses)

    with pytest.raises(DeviceError, match="0x18b"):
        tpm.read_nv(0x01400001, most=100)
    assert len(script.sent) == 3
    assert len(pauses) == 2


def test_tpm_that_stays_busy_is_an_error() -> None:
    """After a while."""
    pauses: list[float] = []
    tpm, _ = _scripted(_response(0x922), pauses=pauses)

    with pytest.raises(DeviceError, match="stays busy"):
        tpm.read_pcrs([0])
    assert 0.5 < sum(pauses) < 5


@pytest.mark.parametrize(
    "answer",
    [
        b"",
        b"\x80\x01",
        _response()[:-1],
        _response() + b"\0",
        _response(tag=0x8002),
        _response(body=b"\0\0\0\1"),
        _response(body=bytes(4) + bytes.fromhex("00000001 000b 03 000001 00000000")),
        _response(body=bytes(4) + bytes.fromhex("00000001 000b 03 010000 00000001 0020 00")),
        _response(body=bytes(4) + bytes.fromhex("00000000 00000000")),
        OSError("gone"),
    ],
)
def test_answer_that_is_no_pcr_is_an_error_of_the_device(answer: bytes | OSError) -> None:
    """Whatever comes back, the enclave gets PCRs or an error."""
    tpm, _ = _scripted(answer)

    with pytest.raises(DeviceError):
        tpm.read_pcrs([0])


class Restless(Tpm):
    """A TPM whose PCRs change between reading and quoting, so many times."""

    def __init__(self, connection: TpmConnection, times: int) -> None:
        super().__init__(connection)
        self.times = times

    def quote(self, handle: int, extra_data: bytes, indices: Sequence[int]) -> Quotation:
        """Extend a PCR before the quote."""
        if self.times:
            self.times -= 1
            self.extend_pcr(16, bytes(32))
        return super().quote(handle, extra_data, indices)


@pytest.mark.swtpm
@needs_swtpm
def test_pcr_that_changes_meanwhile_is_read_again(tpm: SoftwareTpm) -> None:
    """Values and quote have to be of one moment."""
    with closing(TpmDevice(Restless(open_connection(tpm.path), times=2), endorsements={})) as device:
        assert _claims(device.attest(BINDING)).bound_data == tpm_binding(BINDING)


@pytest.mark.swtpm
@needs_swtpm
def test_pcrs_that_never_rest_are_an_error(tpm: SoftwareTpm) -> None:
    """Rather than evidence that nobody can verify; and the key is removed from the TPM all the same."""
    with closing(TpmDevice(Restless(open_connection(tpm.path), times=12), endorsements={})) as device:
        for _ in range(4):  # a TPM has room for three keys
            with pytest.raises(DeviceError, match="is not over"):
                device.attest(BINDING)
        device.attest(BINDING)


@pytest.mark.parametrize("size", [0, 100])
def test_index_of_no_or_too_many_bytes_is_refused(size: int) -> None:
    """Sizes before contents."""
    public = bytes(12) + size.to_bytes(2, "big")
    tpm, _ = _scripted(_response(body=len(public).to_bytes(2, "big") + public))

    with pytest.raises(DeviceError, match=f"holds {size} bytes"):
        tpm.read_nv(0x01400001, most=99)


@pytest.mark.parametrize("size", [0, 32, 63, 65])
def test_binding_of_another_size_is_never_sent(size: int) -> None:
    """Nothing is padded or cut."""
    tpm, script = _scripted(_response())

    with pytest.raises(DeviceError, match="64 bytes"):
        TpmDevice(tpm, endorsements={}).attest(bytes(size))
    assert script.sent == []


def test_machine_without_a_tpm_says_so(tmp_path: Path) -> None:
    """Asked for by name, it is not silently another device."""
    (tmp_path / "file").touch()
    for path, problem in ((tmp_path / "absent", "No such file"), (tmp_path / "file", "neither")):
        options = DeviceOptions(state=tmp_path, clock=FixedClock(), runtime_digest=DIGEST, tpm=path)
        with pytest.raises(DeviceError, match=problem):
            open_device("tpm", options)


@pytest.mark.parametrize(
    "answer",
    [b"", b"\x80\x01\0\0\0", b"\x80\x01\0\0\0\x09\0\0\0\0", b"\x80\x01\xff\xff\xff\xff\0\0\0\0", _response(0)[:9]],
)
def test_socket_that_answers_nonsense_is_an_error_of_the_device(tmp_path: Path, answer: bytes) -> None:
    """Nothing is read beyond what a TPM may send."""
    path = tmp_path / "s"
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(path))
        listener.listen()

        def serve() -> None:
            stream, _ = listener.accept()
            with stream:
                stream.recv(4096)
                stream.sendall(answer)

        thread = threading.Thread(target=serve)
        thread.start()
        connection = open_connection(path)
        with pytest.raises(DeviceError, match="does not answer"):
            connection.send(b"command")
        thread.join()
        connection.close()


def test_device_takes_a_command_in_one_write(tmp_path: Path) -> None:
    """Of the kernel's device there is none here: a terminal is a character device as well."""
    master, slave = os.openpty()
    try:
        os.write(master, b"no response\n")
        connection = open_connection(Path(os.ttyname(slave)))
        assert connection.send(b"command") == b"no response\n"
        connection.close()
    finally:
        os.close(master)
        os.close(slave)
