"""Summaries: an article is read, a draft made by picking or writing, checked, and translated if asked."""
