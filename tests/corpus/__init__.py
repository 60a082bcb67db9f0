"""Abuse and honest tools, tried against the sandbox in every mode that this machine can make.

``python -m tests.corpus`` (``make corpus``) runs any files of the format in ``README.md``.
"""
