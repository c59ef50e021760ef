"""AWS Nitro Enclaves attestation documents: README.md lists the checks, their sources and the policy keys."""
