"""Work that is taken now and fetched later: kept in SQLite, done in the background. Knows no Flask."""
