"""Verifies evidence: is it authentic, and does the relying party's policy accept it."""
