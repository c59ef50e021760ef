"""Where functions run: one process for one invocation, and none of the enclave's keys in it."""
