"""Finds what an output says without support in its source. Reads text only: no model, engine or task."""
