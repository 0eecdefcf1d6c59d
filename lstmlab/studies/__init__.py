"""Studies: expanding, budgets, identity, execution and the store, each a small step of its own.

Nothing is imported here, so that `lstmlab.studies.status` stays as light as it is.
"""
