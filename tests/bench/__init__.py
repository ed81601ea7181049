"""Measures the whole path on real parts: `python -m tests.bench`, or `make bench`.

Every clock is the bench's own: it starts at the forge's API call, and is stopped by what the bench itself sees in Git,
in the cluster and at the URL. Nothing here asserts how long anything may take.
"""
