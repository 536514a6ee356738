"""Checks that hold a translation against its source, and how the two align. Knows nothing of summaries."""
