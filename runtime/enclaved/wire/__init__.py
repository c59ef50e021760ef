"""The bytes that caller, gateway and enclave agree on, protocol version 1 (README.md is the byte-level spec)."""
