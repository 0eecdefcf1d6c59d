"""``launch=slurm``: runs in jobs of Slurm. `driver` and `queues` submit, `packs` are shared, `task` is a job."""

from lstmlab.studies.launch.slurm.driver import slurm

__all__ = ["slurm"]
