"""TPM 2.0: quotes of platform configuration registers, signed by an attestation key."""
