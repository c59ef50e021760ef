"""The runtime's own digest: what the code that holds the keys says of itself.

It is the ``h1:`` digest of the source files that make up the process TCB, as they
lie on disk when the enclave starts. It proves nothing by itself, since changed code
could claim any digest; it means something only where the measurements that a policy
pins cover kernel, command line and root file system.
"""

from __future__ import annotations

from pathlib import Path

from enclaved.enclave.folder_digest import digest_files

__all__ = ["runtime_digest"]

_PACKAGE = Path(__file__).parents[1]
_PARTS = ("__init__.py", "clock.py", "errors.py", "attester", "enclave", "sandbox", "wire")


def runtime_digest(package: Path = _PACKAGE) -> str:
    """Return the ``h1:`` digest of the process TCB's source files, named from the package's folder.

    Args:
        package: the folder of the package `enclaved`.
    """
    files = [
        path
        for part in _PARTS
        for path in ([package / part] if part.endswith(".py") else sorted((package / part).rglob("*.py")))
    ]
    return digest_files({path.relative_to(package).as_posix(): path.read_bytes() for path in files})
