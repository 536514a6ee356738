"""Finding the article in a web page or a paste, without what the page put around it. Knows no model."""
