"""Summaries made of an article's own sentences. Knows no engine and generates no text."""
