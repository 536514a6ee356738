"""The command line. Modules import heavy libraries inside functions, to keep `--help` fast."""
