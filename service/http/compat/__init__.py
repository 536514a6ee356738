"""Compatible interfaces of other services, one module each: clients change only the base URL.

All use the same tasks, limits and deadlines as /v1. A module reads its family's requests and writes its
responses and errors; it translates and summarizes nothing itself.
"""
