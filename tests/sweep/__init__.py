"""The crash sweep: every effect of the manager, struck in each of three ways, in processes that are really killed."""
