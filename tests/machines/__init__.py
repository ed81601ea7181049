"""Hypothesis drives the manager through desired states on fakes, and a small model of its own says what must be."""
