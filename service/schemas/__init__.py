"""The JSON of requests and answers, as pydantic models: what a field means is written there and nowhere else.

Knows no HTTP: any way in that reads or writes such JSON may use it.
"""
