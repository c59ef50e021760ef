"""The caller: the relying party that verifies a runtime before it seals anything to it."""
