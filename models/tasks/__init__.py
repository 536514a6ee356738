"""What users ask for: a summary, a translation, a summary in another language."""
