"""Real data that needs no download: it ships inside libraries that this project uses anyway."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lstmlab.data._dataset import Dataset
from lstmlab.data.tables import TimeTable
from lstmlab.registry import dataset

if TYPE_CHECKING:
    import pandas as pd


@dataset("co2")
class CO2(Dataset):
    """Weekly CO2 at Mauna Loa, 1958 to 2001, from statsmodels."""

    tasks = ("climate",)
    size = "2,284 weeks"
    title = "Atmospheric CO2 from continuous air samples at Mauna Loa Observatory, Hawaii, weekly"
    kind = "embedded"
    licence = "public domain (as stated in statsmodels.datasets.co2)"
    source = "statsmodels.datasets.co2"
    citation = (
        "Keeling, C. D. and Whorf, T. P. (2004), Atmospheric CO2 concentrations derived from flask air "
        "samples at sites in the SIO network, in Trends, CDIAC, Oak Ridge National Laboratory"
    )
    quantity = "CO2 (ppm)"

    def load(self) -> pd.Series:
        """Return one value a week; missing weeks are NaN."""
        import statsmodels.datasets.co2 as co2

        return co2.load_pandas().data["co2"]

    def content(self) -> bytes:
        """Return the values' bytes."""
        return self.load().to_numpy("float64").tobytes()


@dataset("sea_surface_temperature")
class SeaSurfaceTemperature(Dataset):
    """Monthly sea-surface temperature off Peru and Ecuador, 1950 to 2010: El Niño's, from statsmodels."""

    tasks = ("weather",)
    size = "732 months"
    title = "Averaged monthly sea surface temperature of the Pacific Ocean (Niño 1+2: 0-10° South, 80-90° West)"
    kind = "embedded"
    licence = "public domain (as stated in statsmodels.datasets.elnino)"
    source = "statsmodels.datasets.elnino"
    citation = "National Oceanic and Atmospheric Administration, National Weather Service, ERSST.V3B and Niño indices"
    quantity = "sea-surface temperature (°C)"

    def load(self) -> TimeTable:
        """Return one series with the column ``temperature``, a row a month."""
        import pandas as pd
        import statsmodels.datasets.elnino as elnino

        years = elnino.load_pandas().data.set_index("YEAR")
        months = pd.date_range(f"{int(years.index[0])}-01-01", periods=years.size, freq="MS", name="time")
        frame = pd.DataFrame({"temperature": years.to_numpy("float64").ravel()}, index=months)
        return TimeTable({"": frame}, "temperature", self.quantity, "°C")

    def content(self) -> bytes:
        """Return the values' bytes."""
        return self.load().series[""].to_numpy("float64").tobytes()


@dataset("cpython_reference")
class CPythonReference(Dataset):
    """CPython's language reference, the text behind help("assert")."""

    tasks = ("language_model",)
    size = "370,000 characters with Python 3.11; as many as the installed Python has"
    title = "The Python language reference, as help() shows it"
    kind = "embedded"
    licence = "PSF-2.0"
    source = "pydoc_data.topics in Python's standard library"
    citation = "Python Software Foundation, The Python Language Reference"

    def load(self) -> str:
        """Return all topics in one text, each paragraph once.

        A fifth of the text is paragraphs that several topics share. Left in, they would stand in
        the training and in the test split, and a model would be paid for remembering them.
        """
        from pydoc_data.topics import topics

        paragraphs = (p.strip("\n") for name in sorted(topics) for p in topics[name].split("\n\n"))
        return "\n\n".join(dict.fromkeys(p for p in paragraphs if p))

    def content(self) -> bytes:
        """Return the text's bytes."""
        return self.load().encode()
