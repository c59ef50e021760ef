"""Fetching what vouches for a device: certificates, revocation lists and TCB information of its vendor."""
