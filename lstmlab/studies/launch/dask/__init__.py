"""``launch=dask``: runs on Dask. The driver's side is `session`, `crew`, `cluster`; `worker` the other."""

from lstmlab.studies.launch.dask.session import dask

__all__ = ["dask"]
