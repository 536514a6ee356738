"""Units done by Ray Data: one streaming dataset a run, whose actors hold a model each.

Units go into the desk, an actor beside the driver; the dataset reads them there, maps them, and the driver
collects the results. What is done is kept by the driver alone, in the store. Only these modules know Ray.
"""
