"""The kernel's trusted security module interface as an attestation device: SEV-SNP and TDX.

``Documentation/ABI/testing/configfs-tsm-report``. Every request has an entry of
its own, which nobody else should write to. Should somebody do it all the same,
the entry's ``generation`` tells: it counts the writes, so it is compared after
every read, and what was read of another's request is thrown away. The next try is
in a new entry.
"""

from __future__ import annotations

import errno
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from enclaved.attester.device import DeviceKind, DeviceOptions, check_binding
from enclaved.attester.endorsements import read_endorsements
from enclaved.attester.snp_certificates import certificate_files
from enclaved.attester.tsm_files import Files, KernelFiles
from enclaved.errors import DeviceError
from enclaved.wire.attestation import Evidence

__all__ = ["TSM", "TSM_FOLDER", "TsmDevice", "open_tsm"]

TSM_FOLDER = Path("/sys/kernel/config/tsm/report")

_NAME: Final = "tsm"
_ATTEMPTS = 3
_LARGEST_TEXT = 4096  # an attribute of text is one page
_LARGEST_BLOB = 64 << 10
_RACES = (errno.EBUSY, errno.EWOULDBLOCK)
_LEVELS = ("0", "1", "2", "3")


@dataclass(frozen=True, slots=True, kw_only=True)
class _Provider:
    """What makes the reports.

    Attributes:
        format: the evidence format.
        privileged: is there a privilege level to choose; the attribute is hidden elsewhere.
        certificates: does ``auxblob`` hold a table of certificates.
        endorsements: files that an operator may add.
    """

    format: str
    privileged: bool
    certificates: bool
    endorsements: tuple[str, ...]


_PROVIDERS: Mapping[str, _Provider] = {
    "sev_guest": _Provider(
        format="sev-snp",
        privileged=True,
        certificates=True,
        endorsements=("vcek.der", "vlek.der", "ask.pem", "asvk.pem", "ark.pem", "ark.crl"),
    ),
    "tdx_guest": _Provider(
        format="tdx",
        privileged=False,
        certificates=False,
        endorsements=(
            *("tcb_info.json", "qe_identity.json", "tcb_signing_chain.pem"),
            *("pck_crl.der", "root_ca_crl.der", "pck_crl_issuer_chain.pem"),
        ),
    ),
}


class _RaceError(Exception):
    """Somebody else wrote to the entry."""


class TsmDevice:
    """Reports through configfs.

    Args:
        folder: the folder in which entries are made.
        files: how files are read and written.
        endorsements: files that travel with the evidence, where the host gives none of that name.

    Raises:
        DeviceError: the kernel offers no report here, or one of an unknown provider.
    """

    name: Final = _NAME

    def __init__(self, folder: Path, files: Files, *, endorsements: Mapping[str, Mapping[str, bytes]]) -> None:
        self._folder = folder
        self._files = files
        self._provider_name = self._ask_provider()
        self._provider = _PROVIDERS[self._provider_name]
        self._endorsements = endorsements.get(self._provider.format, {})

    @property
    def format(self) -> str:
        """The format of the provider's evidence."""
        return self._provider.format

    def attest(self, binding: bytes) -> Evidence:
        """Return a report over a binding.

        Args:
            binding: 64 bytes.

        Returns:
            The report; of SEV-SNP with the certificates that the host gives.

        Raises:
            DeviceError: the binding has another size, the kernel or the hardware refuses, or somebody
                else writes to every entry that is made.
        """
        check_binding(binding)
        for _ in range(_ATTEMPTS):
            try:
                report, certificates = self._in_new_entry(binding)
            except _RaceError:
                continue
            endorsements = {**self._endorsements, **certificate_files(certificates)}
            return Evidence(format=self.format, report=report, endorsements=endorsements)
        raise DeviceError(f"{self._folder}: somebody else wrote to each of {_ATTEMPTS} entries: generation conflict")

    def _ask_provider(self) -> str:
        entry = self._make_entry()
        try:
            provider = _text(self._read(entry, "provider", _LARGEST_TEXT))
        finally:
            self._remove(entry)
        if provider not in _PROVIDERS:
            raise DeviceError(f"{self._folder}: the provider {provider!r} is none of {', '.join(_PROVIDERS)}")
        return provider

    def _in_new_entry(self, binding: bytes) -> tuple[bytes, bytes]:
        entry = self._make_entry()
        try:
            return self._request(entry, binding)
        finally:
            self._remove(entry)

    def _request(self, entry: Path, binding: bytes) -> tuple[bytes, bytes]:
        generation = self._generation(entry)
        if self._provider.privileged:
            self._write(entry, "privlevel", self._privilege(entry))
            generation += 1
        self._write(entry, "inblob", binding)
        generation += 1
        provider = _text(self._read_at(entry, "provider", _LARGEST_TEXT, generation))
        if provider != self._provider_name:
            raise DeviceError(f"{self._folder}: the provider has become {provider!r}")
        report = self._read_at(entry, "outblob", _LARGEST_BLOB, generation)
        if not report:
            raise DeviceError(f"{self._folder}: the report is empty")
        certificates = b""
        if self._provider.certificates:
            certificates = self._read_at(entry, "auxblob", _LARGEST_BLOB, generation)
        return report, certificates

    def _privilege(self, entry: Path) -> bytes:
        """Return the most privileged level that this kernel may ask for, in ASCII as the kernel reads it."""
        floor = _text(self._read(entry, "privlevel_floor", _LARGEST_TEXT))
        if floor not in _LEVELS:
            raise DeviceError(f"{self._folder}: {floor!r} is no privilege level")
        return floor.encode()

    def _read_at(self, entry: Path, attribute: str, most: int, generation: int) -> bytes:
        """Read an attribute, and find out whether it answers what was written here."""
        contents = self._read(entry, attribute, most)
        if self._generation(entry) != generation:
            raise _RaceError
        return contents

    def _generation(self, entry: Path) -> int:
        text = _text(self._read(entry, "generation", _LARGEST_TEXT))
        if not text.isascii() or not text.isdecimal():
            raise DeviceError(f"{self._folder}: the generation is no number")
        return int(text)

    def _make_entry(self) -> Path:
        try:
            return self._files.make_entry(self._folder)
        except OSError as error:
            raise _refused(self._folder, "no entry can be made", error) from error

    def _remove(self, entry: Path) -> None:
        with suppress(OSError):  # an entry that stays costs the kernel some memory, and nobody anything else
            self._files.remove_entry(entry)

    def _read(self, entry: Path, attribute: str, most: int) -> bytes:
        try:
            contents = self._files.read(entry / attribute, most + 1)
        except OSError as error:
            if error.errno in _RACES:
                raise _RaceError from error
            raise _refused(self._folder, f"{attribute} cannot be read", error) from error
        if len(contents) > most:
            raise DeviceError(f"{self._folder}: {attribute} has more than {most} bytes")
        return contents

    def _write(self, entry: Path, attribute: str, contents: bytes) -> None:
        try:
            self._files.write(entry / attribute, contents)
        except OSError as error:
            if error.errno in _RACES:
                raise _RaceError from error
            raise _refused(self._folder, f"{attribute} cannot be written", error) from error


def open_tsm(options: DeviceOptions) -> TsmDevice:
    """Open the kernel's interface.

    Raises:
        DeviceError: it is not there, offers no report, or one of an unknown provider.
    """
    endorsements = {each.format: read_endorsements(options.state, each.endorsements) for each in _PROVIDERS.values()}
    return TsmDevice(TSM_FOLDER, KernelFiles(), endorsements=endorsements)


def _is_present() -> bool:
    """Tell whether the kernel has a provider that is known here; the folder is there without one as well."""
    try:
        TsmDevice(TSM_FOLDER, KernelFiles(), endorsements={})
    except DeviceError:
        return False
    return True


def _text(contents: bytes) -> str:
    return contents.decode("ascii", "replace").removesuffix("\n")


def _refused(folder: Path, what: str, error: OSError) -> DeviceError:
    return DeviceError(f"{folder}: {what}: {error.strerror or error}")


TSM = DeviceKind(name=_NAME, hardware=True, looked_for=str(TSM_FOLDER), is_present=_is_present, open=open_tsm)
