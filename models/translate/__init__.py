"""Translation: from a text to its sentences, through one or two models, and back."""
