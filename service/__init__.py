"""The three ways in: HTTP, command line, batch."""
