"""Files of people's own formats: what is to be summarized or translated in them, and the way back.

Libraries parse them. Knows no HTTP, no task and no model.
"""
