"""The version of this package, here alone: Dask workers of another one are refused."""

__version__ = "0.2.0"
