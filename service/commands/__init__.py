"""The commands of `dragoman`. Heavy imports are made inside them, so that `--help` is quick."""
