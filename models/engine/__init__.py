"""Engines: token ids in, token ids out. No text, languages, tasks or HTTP here."""
