"""Recurrent cells, each written as its equations, one family a file."""

from lstmlab.cells._cell import Cell, Value, exp, log_sigmoid, maximum, relu, sigmoid, tanh
from lstmlab.cells._equations import CellError, Equations, equations
from lstmlab.cells._graph import Graph, Node

__all__ = [
    "Cell",
    "CellError",
    "Equations",
    "Graph",
    "Node",
    "Value",
    "equations",
    "exp",
    "log_sigmoid",
    "maximum",
    "relu",
    "sigmoid",
    "tanh",
]
