"""Headlines cut from an article's own sentence by rules. Knows no model and writes no word of its own."""
