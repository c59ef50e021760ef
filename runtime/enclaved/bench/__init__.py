"""Measuring the runtime: what its parts cost on this machine."""
