"""The enclave: keys, sessions, the function registry and receipts; with the sandboxes, the trusted computing base."""
