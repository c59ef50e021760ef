"""Measuring what enclaved costs on the machine at hand."""
