"""Texts with a form: what of them is translated, and how it goes back into its place. Knows no model."""
