"""Persistent data: jobs, results, glossaries, translation memories, keys, suggestions.

Knows SQLite and the owners of rows; runs no task and knows no HTTP.
"""
