"""Intel TDX and SGX: quotes of the Data Center Attestation Primitives (DCAP)."""
