"""Confidential VMs of Azure: a paravisor's virtual TPM, whose key the hardware's report vouches for."""
