"""Recurrent cells, each written as its equations, one family a file."""

from lstmlab.cells._cell import Cell, sigmoid, tanh

__all__ = ["Cell", "sigmoid", "tanh"]
