"""The inference: text in, text out.

No Flask, no environment variables, no printing here; `service` imports this package, never the reverse.
"""
