"""Ends of sentences, words and wrapped lines; sentences packed into windows. Knows no article."""
