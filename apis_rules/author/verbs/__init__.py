"""One module per verb of the command line: its arguments, and a thin call of what does the work."""
