"""An Intel of our own: a root, platforms, quoting enclaves and collateral that sign for real whatever a test turns."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature
from cryptography.hazmat.primitives.serialization import Encoding
from enclaved.verifier.roots import INTEL_SGX, Roots
from enclaved.wire.attestation import Evidence
from simulation import NOON

__all__ = ["DAY", "Certified", "Forgery", "certify", "evidence", "named", "roots_of"]

DAY = timedelta(days=1)
FMSPC = bytes.fromhex("90c06f000000")
_OID = bytes.fromhex("2a864886f84d010d01")
_UP_TO_DATE = {"tcbDate": "2024-03-13T00:00:00Z", "tcbStatus": "UpToDate"}
_SIZES = {
    "tee_tcb_svn": (0, 16), "mr_seam": (16, 48), "mr_signer_seam": (64, 48), "seam_attributes": (112, 8),
    "td_attributes": (120, 8), "xfam": (128, 8), "mr_td": (136, 48), "mr_config_id": (184, 48), "mr_owner": (232, 48),
    "mr_owner_config": (280, 48), "rtmr0": (328, 48), "rtmr1": (376, 48), "rtmr2": (424, 48), "rtmr3": (472, 48),
    "report_data": (520, 64), "tee_tcb_svn_2": (584, 16), "mr_service_td": (600, 48),
}  # fmt: skip
_SGX_SIZES = {
    "cpu_svn": (0, 16), "misc_select": (16, 4), "isv_ext_prod_id": (32, 16), "attributes": (48, 16),
    "mr_enclave": (64, 32), "mr_signer": (128, 32), "config_id": (192, 64), "isv_prod_id": (256, 2),
    "isv_svn": (258, 2), "config_svn": (260, 2), "isv_family_id": (304, 16), "report_data": (320, 64),
}  # fmt: skip
TD = {
    "tee_tcb_svn": bytes([5, 1, 3]) + bytes(13),
    "td_attributes": (1 << 28).to_bytes(8, "little"),
    "xfam": bytes.fromhex("e702060000000000"),
    "mr_td": bytes([1]) * 48,
    "rtmr0": bytes([2]) * 48,
    "rtmr1": bytes([3]) * 48,
    "rtmr2": bytes([4]) * 48,
    "rtmr3": bytes([5]) * 48,
    "report_data": bytes(range(64)),
    "tee_tcb_svn_2": bytes([5, 1, 3]) + bytes(13),
}
ENCLAVE = {
    "attributes": bytes([5]) + bytes(15),
    "mr_enclave": bytes([6]) * 32,
    "mr_signer": bytes([7]) * 32,
    "isv_prod_id": (3).to_bytes(2, "little"),
    "isv_svn": (4).to_bytes(2, "little"),
    "report_data": bytes(range(64)),
}
QE = {
    "attributes": bytes([0x11]) + bytes(15),
    "mr_signer": bytes([8]) * 32,
    "isv_prod_id": (2).to_bytes(2, "little"),
    "isv_svn": (6).to_bytes(2, "little"),
}


@dataclass(frozen=True, kw_only=True)
class Certified:
    """A certificate and its key."""

    certificate: x509.Certificate
    key: ec.EllipticCurvePrivateKey

    @property
    def pem(self) -> bytes:
        """The certificate in PEM."""
        return self.certificate.public_bytes(Encoding.PEM)


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """How to make one certificate."""

    name: str
    is_authority: bool = False
    path_length: int | None = None
    may_sign: bool = True
    may_sign_lists: bool = True
    has_usage: bool = True
    start: datetime = NOON - DAY
    end: datetime = NOON + DAY
    curve: ec.EllipticCurve = field(default_factory=ec.SECP256R1)
    extension: bytes | None = None


@dataclass(frozen=True, kw_only=True)
class Forgery:
    """All that goes into a piece of evidence; the defaults make good ones.

    The functions turn the finished thing before it is signed (documents) or handed over (the quote).
    """

    tee: str = "tdx"
    version: int = 4
    body_type: int = 2
    body: Mapping[str, bytes] = field(default_factory=dict)
    header: Mapping[int, bytes] = field(default_factory=dict)
    qe: Mapping[str, bytes] = field(default_factory=dict)
    qe_report_data: bytes | None = None
    authentication_data: bytes = bytes(range(32))
    root: Recipe = Recipe(name="Intel SGX Root CA", is_authority=True, path_length=1, may_sign=False)
    authority: Recipe = Recipe(name="Intel SGX PCK Platform CA", is_authority=True, path_length=0, may_sign=False)
    pck: Recipe = Recipe(name="Intel SGX PCK Certificate")
    tcb_signer: Recipe = Recipe(name="Intel SGX TCB Signing")
    components: Sequence[int] = (4, 4, 2, 2, 4, 1, 0, 5, 0, 0, 0, 0, 0, 0, 0, 0)
    pce_svn: int = 13
    fmspc: bytes = FMSPC
    extension: Callable[[bytes], bytes | None] = lambda extension: extension
    tcb_info: Callable[[dict[str, Any]], Any] = lambda document: document
    qe_identity: Callable[[dict[str, Any]], Any] = lambda document: document
    revoked: frozenset[str] = frozenset()
    crl_start: datetime = NOON - DAY
    crl_end: datetime | None = NOON + DAY
    crl_issuer: str | None = None
    crl_extension: x509.ExtensionType | None = None
    chain_order: tuple[int, ...] = (0, 1, 2)
    signing_order: tuple[int, ...] = (0, 1)
    foreign: frozenset[str] = frozenset()
    certification_type: int = 5
    certification_tail: bytes = b""
    tail: bytes = b""


ROOT_KEY, AUTHORITY_KEY, PCK_KEY, SIGNER_KEY, ATTESTATION_KEY, FOREIGN_KEY = (
    ec.generate_private_key(ec.SECP256R1()) for _ in range(6)
)


def named(recipe: Recipe, **turned: object) -> Recipe:
    """Return a recipe with fields turned."""
    return replace(recipe, **turned)


def certify(
    recipe: Recipe, key: ec.EllipticCurvePrivateKey, issuer: Certified | None = None, signer: object = None
) -> Certified:
    """Make a certificate over a key, under an issuer or under itself."""
    if not isinstance(recipe.curve, ec.SECP256R1):
        key = ec.generate_private_key(recipe.curve)
    subject = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, recipe.name)])
    builder = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer.certificate.subject if issuer else subject)
        .public_key(key.public_key())
        .serial_number(int.from_bytes(hashlib.sha256(recipe.name.encode()).digest()[:16], "big") >> 1)
        .not_valid_before(recipe.start)
        .not_valid_after(recipe.end)
        .add_extension(x509.BasicConstraints(ca=recipe.is_authority, path_length=recipe.path_length), critical=True)
    )
    if recipe.has_usage:
        builder = builder.add_extension(_usage(recipe), critical=True)
    if recipe.extension is not None:
        oid = x509.ObjectIdentifier("1.2.840.113741.1.13.1")
        builder = builder.add_extension(x509.UnrecognizedExtension(oid, recipe.extension), critical=False)
    private = signer if isinstance(signer, ec.EllipticCurvePrivateKey) else issuer.key if issuer else key
    return Certified(certificate=builder.sign(private, hashes.SHA256()), key=key)


def roots_of(certificate: x509.Certificate) -> Roots:
    """Return roots that hold one certificate as Intel's."""
    return Roots(fingerprints={INTEL_SGX: frozenset({certificate.fingerprint(hashes.SHA256())})})


def evidence(forgery: Forgery) -> tuple[Evidence, Roots]:
    """Return evidence as described, and the roots that it is good under."""
    root = certify(forgery.root, ROOT_KEY)
    authority = certify(forgery.authority, AUTHORITY_KEY, root, _key(forgery, "authority", None))
    pck_recipe = named(forgery.pck, extension=forgery.extension(_extension(forgery)))
    pck = certify(pck_recipe, PCK_KEY, authority, _key(forgery, "pck", None))
    tcb_signer = certify(forgery.tcb_signer, SIGNER_KEY, root, _key(forgery, "tcb_signer", None))
    quote = _quote(forgery, pck, [pck, authority, root])
    documents = {
        "tcb_info.json": _signed(
            "tcbInfo", forgery.tcb_info(_tcb_info(forgery)), _key(forgery, "tcb_info", tcb_signer.key)
        ),
        "qe_identity.json": _signed(
            "enclaveIdentity", forgery.qe_identity(_qe_identity(forgery)), _key(forgery, "qe_identity", tcb_signer.key)
        ),
    }
    chain = [tcb_signer, root]
    files = {
        **documents,
        "tcb_signing_chain.pem": b"".join(chain[index].pem for index in forgery.signing_order),
        "pck_crl_issuer_chain.pem": authority.pem + root.pem,
        "root_ca_crl.der": _crl(forgery, "root_ca_crl", root, [authority, tcb_signer, root]),
        "pck_crl.der": _crl(forgery, "pck_crl", authority, [pck]),
    }
    return Evidence(format=forgery.tee, report=quote, endorsements=files), roots_of(root.certificate)


def _key(forgery: Forgery, name: str, own: ec.EllipticCurvePrivateKey | None) -> Any:  # noqa: ANN401 - a key or none
    return FOREIGN_KEY if name in forgery.foreign else own


def _usage(recipe: Recipe) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=recipe.may_sign,
        key_cert_sign=recipe.is_authority,
        crl_sign=recipe.is_authority and recipe.may_sign_lists,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        encipher_only=False,
        decipher_only=False,
    )


def der(tag: int, contents: bytes) -> bytes:
    """Return one element in DER."""
    size = len(contents)
    length = (
        bytes([size]) if size < 0x80 else bytes([0x81, size]) if size < 0x100 else b"\x82" + size.to_bytes(2, "big")
    )
    return bytes([tag]) + length + contents


def der_number(value: int) -> bytes:
    """Return an INTEGER in DER."""
    return der(2, value.to_bytes(value.bit_length() // 8 + 1, "big"))


def pair(oid: bytes, value: bytes) -> bytes:
    """Return a pair of Intel's extension."""
    return der(0x30, der(6, _OID + oid) + value)


def _extension(forgery: Forgery) -> bytes:
    svns = [*forgery.components, forgery.pce_svn]
    tcb = b"".join(pair(bytes([2, n]), der_number(svn)) for n, svn in enumerate(svns, start=1))
    tcb += pair(bytes([2, 18]), der(4, bytes(forgery.components)))
    flags = b"".join(pair(bytes([7, n]), der(1, b"\xff")) for n in (1, 2, 3))
    return der(
        0x30,
        pair(bytes([1]), der(4, bytes(16)))
        + pair(bytes([2]), der(0x30, tcb))
        + pair(bytes([3]), der(4, bytes(2)))
        + pair(bytes([4]), der(4, forgery.fmspc))
        + pair(bytes([5]), der(0x0A, b"\x01"))
        + pair(bytes([6]), der(4, bytes(range(16))))
        + pair(bytes([7]), der(0x30, flags)),
    )


def _quote(forgery: Forgery, pck: Certified, chain: Sequence[Certified]) -> bytes:
    header = bytearray(48)
    header[0:2] = forgery.version.to_bytes(2, "little")
    header[2:4] = (2).to_bytes(2, "little")
    header[4:8] = (0x81 if forgery.tee == "tdx" else 0).to_bytes(4, "little")
    header[12:28] = bytes.fromhex("939a7233f79c4ca9940a0db3957f0607")
    for offset, value in forgery.header.items():
        header[offset : offset + len(value)] = value
    if forgery.tee == "tdx":
        size = 648 if forgery.version == 5 and forgery.body_type == 3 else 584
        body = _laid_out(_SIZES, {**TD, **forgery.body}, size)
    else:
        body = _laid_out(_SGX_SIZES, {**ENCLAVE, **forgery.body}, 384)
    typed = b""
    if forgery.version == 5:
        typed = forgery.body_type.to_bytes(2, "little") + len(body).to_bytes(4, "little")
    signed = bytes(header) + typed + body
    numbers = ATTESTATION_KEY.public_key().public_numbers()
    key = numbers.x.to_bytes(32, "big") + numbers.y.to_bytes(32, "big")
    digest = hashlib.sha256(key + forgery.authentication_data).digest() + bytes(32)
    qe_fields = {**QE, "report_data": forgery.qe_report_data or digest, **forgery.qe}
    qe_report = _laid_out(_SGX_SIZES, qe_fields, 384)
    pem = b"".join(chain[index].pem for index in forgery.chain_order) + forgery.certification_tail
    certification = _sized(forgery.certification_type, pem)
    auth = forgery.authentication_data
    qe_part = qe_report + raw_signature(_key(forgery, "qe_report", pck.key), qe_report)
    qe_part += len(auth).to_bytes(2, "little") + auth + certification
    if forgery.version != 3:
        qe_part = _sized(6, qe_part)
    data = raw_signature(_key(forgery, "quote", ATTESTATION_KEY), signed) + key + qe_part
    return signed + len(data).to_bytes(4, "little") + data + forgery.tail


def _laid_out(sizes: Mapping[str, tuple[int, int]], fields: Mapping[str, bytes], size: int) -> bytes:
    body = bytearray(size)
    for name, value in fields.items():
        start, length = sizes[name]
        assert len(value) == length, name
        if start + length <= size:
            body[start : start + length] = value
    return bytes(body)


def _sized(kind: int, data: bytes) -> bytes:
    return kind.to_bytes(2, "little") + len(data).to_bytes(4, "little") + data


def raw_signature(key: ec.EllipticCurvePrivateKey, data: bytes) -> bytes:
    """Return r and s, 32 bytes each."""
    if not isinstance(key.curve, ec.SECP256R1):
        return bytes(64)
    r, s = decode_dss_signature(key.sign(data, ec.ECDSA(hashes.SHA256())))
    return r.to_bytes(32, "big") + s.to_bytes(32, "big")


def _signed(name: str, document: object, key: ec.EllipticCurvePrivateKey) -> bytes:
    body = document if isinstance(document, bytes) else json.dumps(document).encode()
    return b'{"%s":%s,"signature":"%s"}' % (name.encode(), body, raw_signature(key, body).hex().encode())


def _time(at: datetime) -> str:
    return f"{at:%Y-%m-%dT%H:%M:%SZ}"


def _tcb_info(forgery: Forgery) -> dict[str, Any]:
    components = [{"svn": svn} for svn in forgery.components]
    level: dict[str, Any] = {"tcb": {"sgxtcbcomponents": components, "pcesvn": 13}, **_UP_TO_DATE}
    document: dict[str, Any] = {
        "id": forgery.tee.upper(),
        "version": 3,
        "issueDate": _time(NOON - DAY),
        "nextUpdate": _time(NOON + DAY),
        "fmspc": FMSPC.hex(),
        "pceId": "0000",
        "tcbType": 0,
        "tcbEvaluationDataNumber": 17,
        "tcbLevels": [level],
    }
    if forgery.tee == "tdx":
        level["tcb"]["tdxtcbcomponents"] = [{"svn": svn} for svn in (5, 0, 3, *[0] * 13)]
        module = {"mrsigner": "00" * 48, "attributes": "00" * 8, "attributesMask": "FF" * 8}
        document["tdxModule"] = module
        document["tdxModuleIdentities"] = [
            {"id": "TDX_01", **module, "tcbLevels": [{"tcb": {"isvsvn": 4}, **_UP_TO_DATE}]}
        ]
    return document


def _qe_identity(forgery: Forgery) -> dict[str, Any]:
    return {
        "id": "TD_QE" if forgery.tee == "tdx" else "QE",
        "version": 2,
        "issueDate": _time(NOON - DAY),
        "nextUpdate": _time(NOON + DAY),
        "tcbEvaluationDataNumber": 17,
        "miscselect": "00000000",
        "miscselectMask": "FFFFFFFF",
        "attributes": "11" + "00" * 15,
        "attributesMask": "FB" + "FF" * 7 + "00" * 8,
        "mrsigner": "08" * 32,
        "isvprodid": 2,
        "tcbLevels": [{"tcb": {"isvsvn": 4}, **_UP_TO_DATE}],
    }


def _crl(forgery: Forgery, name: str, issuer: Certified, issued: Sequence[Certified]) -> bytes:
    subject = issuer.certificate.subject
    if forgery.crl_issuer is not None:
        subject = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, forgery.crl_issuer)])
    builder = x509.CertificateRevocationListBuilder().issuer_name(subject).last_update(forgery.crl_start)
    builder = builder.next_update(forgery.crl_end or NOON + DAY).add_extension(x509.CRLNumber(1), critical=False)
    authority_key = x509.AuthorityKeyIdentifier.from_issuer_public_key(issuer.key.public_key())
    builder = builder.add_extension(authority_key, critical=False)
    if forgery.crl_extension is not None:
        builder = builder.add_extension(forgery.crl_extension, critical=True)
    for each in issued:
        common = each.certificate.subject.get_attributes_for_oid(x509.NameOID.COMMON_NAME)[0].value
        if common in forgery.revoked:
            entry = x509.RevokedCertificateBuilder().serial_number(each.certificate.serial_number)
            builder = builder.add_revoked_certificate(entry.revocation_date(NOON - DAY).build())
    key = _key(forgery, name, issuer.key)
    return builder.sign(key, hashes.SHA256()).public_bytes(Encoding.DER)
