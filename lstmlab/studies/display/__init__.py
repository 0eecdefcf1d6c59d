"""How a study goes, for whoever watches: a board that hears of events, and the view of it that suits the place."""

from lstmlab.studies.display.board import Board
from lstmlab.studies.display.display import Display, view

__all__ = ["Board", "Display", "view"]
