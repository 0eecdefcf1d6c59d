"""Datasets: where the numbers come from, with licence, source and version; importing registers them."""

from lstmlab.data._dataset import Dataset
from lstmlab.data.download import Download
from lstmlab.data.embedded import CO2, CPythonReference
from lstmlab.data.fetch import File
from lstmlab.data.generated import Adding
from lstmlab.data.tables import TableConfig, TimeTable

__all__ = ["CO2", "Adding", "CPythonReference", "Dataset", "Download", "File", "TableConfig", "TimeTable"]
