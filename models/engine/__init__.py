"""Engines: token ids in, token ids out. Nothing of text, languages, tasks or HTTP may live here."""
