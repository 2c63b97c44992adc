"""Densities of codes, and the space that codes live in. Needs no other room."""
