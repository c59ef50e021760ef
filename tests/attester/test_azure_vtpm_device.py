"""The virtual TPM of an Azure confidential VM: a real software TPM, with a report on a forged chip in its memory."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from azure_forgery import CHIP, SERVICE, hcl_report, jwk, runtime_data, snp_report
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import load_pem_public_key
from enclaved.attester.azure_vtpm import AzureVtpmDevice
from enclaved.attester.device import DeviceOptions
from enclaved.attester.devices import open_device
from enclaved.errors import DeviceError, EvidenceError
from enclaved.verifier.authenticate import authenticate
from enclaved.verifier.checks import Checks
from enclaved.wire.attestation import Evidence
from enclaved.wire.bundle import tpm_binding
from simulation import DIGEST, NOON, FixedClock
from software_tpm import SoftwareTpm, needs_swtpm, needs_tools, start_tpm

pytestmark = [pytest.mark.swtpm, needs_swtpm, needs_tools]

BINDING = bytes(range(64))
_INDEX, _HANDLE = "0x1400001", "0x81000003"
_ATTRIBUTES = "fixedtpm|fixedparent|sensitivedataorigin|userwithauth|restricted|sign|noda"


@pytest.fixture
def tpm() -> Iterator[SoftwareTpm]:
    """A TPM with an attestation key where Azure's paravisor keeps it."""
    with start_tpm() as started:
        key = ("-G", "rsa2048:rsassa-sha256:null", "-a", _ATTRIBUTES)
        started.tool("tpm2_createprimary", "-C", "e", *key, "-c", "k.ctx")
        started.tool("tpm2_flushcontext", "-t")
        started.tool("tpm2_evictcontrol", "-C", "o", "-c", "k.ctx", _HANDLE)
        started.tool("tpm2_flushcontext", "-t")
        started.tool("tpm2_readpublic", "-c", _HANDLE, "-f", "pem", "-o", "ak_pub.pem")
        yield started


def _store(tpm: SoftwareTpm, contents: bytes) -> None:
    """Put contents into the TPM's memory, where the paravisor leaves its report."""
    (tpm.state / "nv.bin").write_bytes(contents)
    attributes = "ownerread|ownerwrite|authread|authwrite"
    tpm.tool("tpm2_nvdefine", _INDEX, "-C", "o", "-s", str(len(contents)), "-a", attributes)
    tpm.tool("tpm2_nvwrite", _INDEX, "-C", "o", "-i", "nv.bin")


def _report(tpm: SoftwareTpm) -> bytes:
    key = load_pem_public_key((tpm.state / "ak_pub.pem").read_bytes())
    assert isinstance(key, rsa.RSAPublicKey)
    data = runtime_data(keys=[jwk(key)])
    return hcl_report(data, snp_report(data), size=2048)  # swtpm has no larger index; Azure's was as small


def _attest(tpm: SoftwareTpm, state: Path) -> Evidence:
    options = DeviceOptions(state=state, clock=FixedClock(), runtime_digest=DIGEST, tpm=tpm.path)
    device = open_device("azure-vtpm", options)
    assert isinstance(device, AzureVtpmDevice)
    with closing(device):
        return device.attest(BINDING)


@pytest.fixture
def state(tmp_path: Path) -> Path:
    """A state folder with the certificates that an operator got for the machine."""
    folder = tmp_path / "endorsements"
    folder.mkdir()
    (folder / "vcek.der").write_bytes(CHIP.key.der)
    (folder / "ask.pem").write_bytes(SERVICE.authority.pem)
    (folder / "ark.pem").write_bytes(SERVICE.root.pem)
    return tmp_path


def test_evidence_carries_the_binding_and_is_authentic(tpm: SoftwareTpm, state: Path) -> None:
    """The whole way: report out of the TPM's memory, its key, PCRs, quote, our verifier."""
    _store(tpm, _report(tpm))
    claims = authenticate(_attest(tpm, state), at=NOON, roots=SERVICE.roots, checks=Checks())

    assert claims.bound_data == tpm_binding(BINDING)
    assert claims.confidential
    assert claims.vendor["hardware"] == "sev-snp"


def test_released_roots_refuse_the_fake(tpm: SoftwareTpm, state: Path) -> None:
    """The chip is one of ours."""
    _store(tpm, _report(tpm))

    with pytest.raises(EvidenceError) as refused:
        authenticate(_attest(tpm, state), at=NOON, checks=Checks())
    assert refused.value.step == "chain: root"


@pytest.mark.parametrize("contents", [b"HCLB" + bytes(2000), bytes(2048)], ids=["another magic", "zeros"])
def test_tpm_with_something_else_in_its_memory_is_refused(tpm: SoftwareTpm, state: Path, contents: bytes) -> None:
    """It is no confidential VM of Azure."""
    _store(tpm, contents)

    with pytest.raises(DeviceError, match="no confidential VM"):
        _attest(tpm, state)


def test_tpm_without_a_report_is_refused(tpm: SoftwareTpm, state: Path) -> None:
    """As every other TPM is."""
    with pytest.raises(DeviceError, match="nothing at this handle or index"):
        _attest(tpm, state)
