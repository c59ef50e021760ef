"""Simulated evidence: for developing and testing; it proves nothing about hardware."""
