"""Densities over codes, and paths, directions and projections of codes. Needs no other room."""
