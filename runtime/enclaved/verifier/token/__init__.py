"""Attestation tokens: Azure Attestation, Google Confidential Space, EAR."""
