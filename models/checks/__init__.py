"""Finds what in an output its source does not support. Reads texts alone: no model, no engine, no task."""
