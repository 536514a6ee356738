"""Translation: splits a text into sentences, translates them with one or two models, and puts them back."""
