"""The offline batch: many records in, one line out for each. No HTTP, no command line, no text handling."""
