"""Where sentences, words and wrapped lines end; sentences packed into windows. Knows no article."""
