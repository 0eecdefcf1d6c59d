"""Search: each cell is tuned on each task by itself, before the cells are compared at their best settings.

Nothing is imported here: a worker needs `pace` alone, and Optuna is imported by those who search only.
"""
