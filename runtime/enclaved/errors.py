"""Every error that enclaved raises on purpose.

The class says whose fault it is, the fields say what was wrong, and the text
says what to do; no text holds a key, a plaintext or a function's output. Other
libraries' exceptions are mapped to these in the one file that knows the library.
"""

from __future__ import annotations

__all__ = [
    "AppraisalError",
    "ConfigurationError",
    "DeviceError",
    "Error",
    "EvidenceError",
    "LinkError",
    "ProtocolError",
    "SandboxError",
    "TransportError",
]


class Error(Exception):
    """The base of all errors that enclaved raises on purpose."""


class ProtocolError(Error):
    """Bytes from outside do not follow the protocol.

    Attributes:
        what: the part that is wrong, such as ``"invocation header"``.
        reason: what is wrong with it; never the contents.
    """

    def __init__(self, what: str, reason: str) -> None:
        super().__init__(f"{what}: {reason}")
        self.what = what
        self.reason = reason


class ConfigurationError(Error):
    """A person's configuration, manifest, policy or option is wrong.

    Attributes:
        where: the file, key or option.
        remedy: what to do about it.
    """

    def __init__(self, where: str, problem: str, *, remedy: str) -> None:
        super().__init__(f"{where}: {problem}. {remedy}")
        self.where = where
        self.problem = problem
        self.remedy = remedy


class EvidenceError(Error):
    """Evidence cannot be read, is of a kind that is not supported, or is not authentic.

    Attributes:
        code: ``"unreadable"``, ``"unsupported"`` or ``"not_authentic"``.
        step: the verification step that failed, such as ``"chain"``.
        found: what was found there.
        wanted: what was wanted.
    """

    def __init__(self, code: str, step: str, *, found: object, wanted: object) -> None:
        super().__init__(f"{step}: found {found}, wanted {wanted}")
        self.code = code
        self.step = step
        self.found = found
        self.wanted = wanted


class AppraisalError(Error):
    """Evidence is authentic, but the relying party's policy does not accept it.

    Attributes:
        claim: the claim or rule that failed, such as ``"debug"``.
        found: what was found.
        wanted: what the policy wants.
    """

    def __init__(self, claim: str, *, found: object, wanted: object) -> None:
        super().__init__(f"{claim}: found {found}, wanted {wanted}")
        self.claim = claim
        self.found = found
        self.wanted = wanted


class DeviceError(Error):
    """An attestation device is absent, busy or gave an answer that is not evidence."""


class SandboxError(Error):
    """A sandbox could not be built or has died; never a function's own failure."""


class LinkError(Error):
    """The link between gateway and enclave is lost or does not follow its protocol."""


class TransportError(Error):
    """The broker cannot be reached, refused, or was lost.

    Attributes:
        reason_code: the MQTT reason code, where there is one.
    """

    def __init__(self, reason: str, *, reason_code: int | None = None) -> None:
        super().__init__(reason)
        self.reason_code = reason_code
