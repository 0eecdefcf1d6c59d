"""Daily prices: one series that ships with a library, and four that are downloaded."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from lstmlab.data import Dataset, Download, File, TimeTable
from lstmlab.errors import LstmlabError
from lstmlab.registry import dataset

if TYPE_CHECKING:
    import pandas as pd

RAW = "https://raw.githubusercontent.com"
VEGA = f"{RAW}/vega/vega-datasets/cad85578e232704bb0453544742440038038c6a2/data"
VIX = f"{RAW}/datasets/finance-vix/6f56e2760520824b787cf6b85945c62186d38bc6/data"
OIL = f"{RAW}/datasets/oil-prices/2d75ce3a792c2f152619c10272e86052be3a8390/data"


@dataset("sp500")
class SP500(Dataset):
    """S&P 500, daily prices of 1999 to 2018, from the package arch."""

    title = "S&P 500 index, daily open, high, low and close, 1999 to 2018"
    kind = "embedded"
    licence = "not stated for the data (the package arch: NCSA)"
    source = "arch.data.sp500"
    citation = "Sheppard, K. et al., arch, https://doi.org/10.5281/zenodo.593254; prices of Yahoo Finance"
    tasks = ("stocks",)
    size = "5,031 trading days"
    quantity = "S&P 500 (index points)"
    unit = "index points"

    def load(self) -> TimeTable:
        """Return the prices, a row per trading day."""
        try:
            import arch.data.sp500 as sp500
        except ImportError:
            raise LstmlabError("dataset 'sp500' ships with the package arch: pip install 'lstmlab[stocks]'") from None
        return TimeTable({"": sp500.load()[["Open", "High", "Low", "Close"]]}, "Close", self.quantity, self.unit)

    def content(self) -> bytes:
        """Return the prices' bytes."""
        return self.load().series[""].to_numpy("float64").tobytes()


class Prices(Download):
    """Daily prices in one CSV file.

    Attributes:
        target: the column of the close.
        unit: of the prices.
    """

    tasks = ("stocks",)
    target: ClassVar[str]
    unit: ClassVar[str]

    def load(self) -> TimeTable:
        """Return the prices, a row per trading day."""
        import pandas as pd

        frame = pd.read_csv(self.path(self.files[0].name), index_col=0, parse_dates=[0])
        return TimeTable({"": self.clean(frame)}, self.target, self.quantity, self.unit)

    def clean(self, frame: pd.DataFrame) -> pd.DataFrame:
        """Return the rows that have a logarithm."""
        return frame


@dataset("sp500_daily")
class SP500Daily(Prices):
    """S&P 500, daily prices of 2000 to April 2020 (download)."""

    title = "S&P 500 index, daily open, high, low and close, January 2000 to April 2020"
    licence = "not declared for this file (repository: BSD-3-Clause; prices of Yahoo Finance)"
    source = "https://github.com/vega/vega-datasets"
    citation = "vega-datasets, data/sp500-2000.csv"
    size = "5,105 trading days"
    quantity = "S&P 500 (index points)"
    unit = "index points"
    target = "close"
    files = (
        File(
            "sp500-2000.csv",
            sha256="9409e9342d0657c747324e4cfabce8a8c7f663bc485b95a3378f36b0a160f8c8",
            size=415_968,
            urls=(f"{VEGA}/sp500-2000.csv",),
        ),
    )


@dataset("vix_daily")
class VIXDaily(Prices):
    """VIX, the implied volatility of the S&P 500, daily values of 1990 to 2026 (download)."""

    title = "CBOE volatility index VIX, daily open, high, low and close, 1990 to 2026"
    licence = "ODC-PDDL-1.0, as its maintainer declares; CBOE's terms are not stated"
    source = "https://github.com/datasets/finance-vix"
    citation = "CBOE, VIX; packaged as datasets/finance-vix"
    size = "9,235 trading days"
    quantity = "VIX (index points)"
    unit = "index points"
    target = "CLOSE"
    files = (
        File(
            "vix-daily.csv",
            sha256="fa8f8119bb2fa785bb408bcae541a1e630fef97f3acb160b94ed3115c1318db5",
            size=479_964,
            urls=(f"{VIX}/vix-daily.csv",),
        ),
    )


class Oil(Prices):
    """Spot prices of the U.S. Energy Information Administration."""

    licence = "public domain (U.S. EIA); packaged under ODC-PDDL-1.0"
    source = "https://github.com/datasets/oil-prices"
    citation = "U.S. Energy Information Administration, spot prices for crude oil"
    unit = "USD per barrel"
    target = "Price"

    def clean(self, frame: pd.DataFrame) -> pd.DataFrame:
        """Leave out the one day on which a barrel cost less than nothing; `notes` says so."""
        return frame[frame[self.target] > 0]


@dataset("wti_daily")
class WTI(Oil):
    """Crude oil of West Texas, daily spot price of 1986 to 2026 (download)."""

    title = "WTI crude oil, Cushing, Oklahoma: daily spot price since 1986"
    size = "10,226 trading days"
    quantity = "WTI crude oil (USD per barrel)"
    files = (
        File(
            "wti-daily.csv",
            sha256="e296634680fca6c045838d4c07a174383386efa8b657adb7ece4cc7464ef49a8",
            size=183_336,
            urls=(f"{OIL}/wti-daily.csv",),
        ),
    )

    def notes(self) -> list[str]:
        return ["20 April 2020 is left out: the price was -36.98 USD, which has no logarithm."]


@dataset("brent_daily")
class Brent(Oil):
    """Crude oil of the North Sea, daily spot price of 1987 to 2026 (download)."""

    title = "Brent crude oil, Europe: daily spot price since 1987"
    size = "9,958 trading days"
    quantity = "Brent crude oil (USD per barrel)"
    files = (
        File(
            "brent-daily.csv",
            sha256="b5908edde7a195aca26d8bcc9993c38899fa579b0415796616a1469eee0d4dd4",
            size=178_686,
            urls=(f"{OIL}/brent-daily.csv",),
        ),
    )
