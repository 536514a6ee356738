"""Summaries: read an article, draft by picking or writing, check the draft, translate it if asked."""
