"""Trials of what must not happen: `python -m chaos` (make chaos) runs them all and writes
docs/reliability.md.
"""
