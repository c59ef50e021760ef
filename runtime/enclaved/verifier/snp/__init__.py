"""AMD SEV-SNP attestation reports: README.md lists the checks, their sources and the policy keys."""
