"""Other people's interfaces, one module each: their clients need another base URL and nothing else.

All of them go through the same tasks, places, limits and deadlines as /v1. A module reads its family's
requests, and writes its answers and errors; it translates and summarizes nothing itself.
"""
