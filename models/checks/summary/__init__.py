"""Checks that hold a summary against its article, both in one language. Knows nothing of translations."""
