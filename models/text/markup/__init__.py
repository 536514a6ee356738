"""Formatted texts: which parts are translated, and how they are put back. Knows no model."""
