"""The explorer: one HTML page that runs the networks of an export by itself."""
