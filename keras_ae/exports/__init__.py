"""Exports: SavedModels and card.json, read and written."""
