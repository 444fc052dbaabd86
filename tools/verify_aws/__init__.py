"""Verifies in an AWS account what the tests can only assume; see `__main__.py`."""
