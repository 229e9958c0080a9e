"""Verbs of the command line about the servers."""
