"""Recurrent cells, each written as its equations; importing this package registers them."""

from lstmlab.cells._cell import Cell, sigmoid, tanh
from lstmlab.cells.coupled import Coupled
from lstmlab.cells.peephole import Peephole
from lstmlab.cells.vanilla import Vanilla

__all__ = ["Cell", "Coupled", "Peephole", "Vanilla", "sigmoid", "tanh"]
