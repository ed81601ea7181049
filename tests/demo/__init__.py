"""`make demo`: a pull request on a real forge, its page at its own address, and nothing left at the end."""
