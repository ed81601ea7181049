"""The outside systems, one adapter each and the sole importer of its library. Their errors are those of errors.py."""
