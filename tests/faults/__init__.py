"""The fault scenarios that belong to no other test file. Each is marked with its number; test_every_fault.py counts."""
