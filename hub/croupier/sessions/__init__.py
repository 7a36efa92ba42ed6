"""Launches, session tokens and the names by which providers know players."""
