"""Units done by Ray's actors, each with the models of its own machine or GPU.

The command's own process hands each unit to an actor that is free, and keeps what is done, in the store. Ray
places actors and restarts those that die. Only these modules know Ray.
"""
