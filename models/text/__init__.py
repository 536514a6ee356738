"""Reading text: articles, languages, sentences, windows. Knows no model and no engine."""
