"""Data sets that the package draws, composes or describes itself."""
