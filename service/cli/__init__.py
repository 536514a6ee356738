"""The command line. Modules import heavy libraries inside functions, so that `--help` shows at once."""
