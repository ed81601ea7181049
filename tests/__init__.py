"""Tests, and the programs that they share with the demo: `tests.cluster` is a real local cluster."""
