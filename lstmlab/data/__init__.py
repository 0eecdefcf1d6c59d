"""Datasets: where the numbers come from, with licence, source and version; importing registers them."""

from lstmlab.data._dataset import Dataset
from lstmlab.data.embedded import CO2, CPythonReference

__all__ = ["CO2", "CPythonReference", "Dataset"]
