"""The offline batch: many records in, one line out per record. No HTTP, command line or text handling."""
