"""The gateway: the untrusted host's process between a broker and an enclave; it holds no key and opens nothing."""
