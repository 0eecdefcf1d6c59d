"""Datasets: where the numbers come from, with licence, source and version; importing registers them."""

from lstmlab.data._dataset import SPLITS, Dataset
from lstmlab.data.download import Download
from lstmlab.data.embedded import CO2, CPythonReference, SeaSurfaceTemperature
from lstmlab.data.fetch import File
from lstmlab.data.own_file import CSV, OwnFiles
from lstmlab.data.tables import TableConfig, TimeTable, read_table

__all__ = [
    "CO2",
    "CSV",
    "SPLITS",
    "CPythonReference",
    "Dataset",
    "Download",
    "File",
    "OwnFiles",
    "SeaSurfaceTemperature",
    "TableConfig",
    "TimeTable",
    "read_table",
]
