"""Attestation devices: what signs evidence over an enclave's keys (part of the trusted computing base)."""
