"""Numbers, dates, names and words as a language writes them. Reads one text; knows no pair and no flag."""
