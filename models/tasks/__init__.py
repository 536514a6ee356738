"""The tasks that users ask for: a summary, a translation, a check."""
