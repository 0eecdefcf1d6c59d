"""Reports: what a study's runs say, and how it is shown."""

from lstmlab.reports.report import Report

__all__ = ["Report"]
