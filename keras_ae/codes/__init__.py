"""Densities over codes, and paths, directions and projections of codes. NumPy; needs no other room."""
