"""Datasets in netCDF files that are there whole or not at all, and whose damage is noticed."""

import hashlib
import os
from pathlib import Path

import xarray as xr

from .._files import written_whole

# HDF5 ignores what stands behind its own end. It is no match for damage: some of it goes unnoticed, some ends
# in a segmentation fault, so files are sealed with a checksum that is looked at first.
_SEAL = b"\nmfgjax-sha256:"
_READERS = {
    "mfgjax-equilibrium": "an equilibrium: read it with `mfgjax.io.load_equilibrium`",
    "mfgjax-game": "a game: read it with `mfgjax.io.load_game`",
}


def write(path: Path, dataset: xr.Dataset) -> None:
    """Write a dataset; a file of that name is replaced, or stays as it is if this fails."""
    with written_whole(path) as partial:
        # the default engine depends on what is installed
        dataset.to_netcdf(partial, engine="netcdf4", format="NETCDF4")
        with partial.open("rb+") as file:
            digest = hashlib.file_digest(file, "sha256").hexdigest()
            file.write(_SEAL + digest.encode())


def read(path: Path) -> xr.Dataset:
    """Return the dataset in a file, in memory.

    Raises:
      ValueError: if there is no such file, or it is damaged or of another kind.
    """
    if not os.path.isfile(path):
        raise ValueError(f"`path` is {path}, but there is no such file.")
    try:
        if not _seal_holds(path):
            raise OSError("the checksum at its end does not fit")
        return xr.load_dataset(path, engine="netcdf4")
    except Exception as error:  # the libraries below raise all kinds
        raise ValueError(f"{path} cannot be read as netCDF: it is damaged, or something else.") from error


def _seal_holds(path: Path) -> bool:
    """Tell whether a file fits the checksum at its end; a file without one, copied by another tool, passes."""
    content = path.read_bytes()
    length = len(_SEAL) + 64
    body, seal = content[:-length], content[-length:]
    # tools that rewrite the file drop what stands behind its end
    return not seal.startswith(_SEAL) or seal[len(_SEAL) :] == hashlib.sha256(body).hexdigest().encode()


def check_format(path: Path, dataset: xr.Dataset, reads: str, noun: str) -> None:
    """Refuse a dataset that does not say it has the format `reads`, which is that of a `noun`."""
    found = dataset.attrs.get("format")
    if found is None:
        raise ValueError(f"{path} is no {noun} of mfgjax: it has no attribute `format`.")
    kind, wanted_kind = str(found).partition("/")[0], reads.partition("/")[0]
    if kind != wanted_kind and kind in _READERS:
        raise ValueError(f"{path} is {_READERS[kind]}.")
    if found != reads:
        raise ValueError(f"{path} has the format {str(found)!r}, but this version of mfgjax reads {reads!r}.")


def values_of(path: Path, dataset: xr.Dataset, name: str, dims: tuple[str, ...]) -> xr.DataArray:
    """Return a variable, refused if it is missing or has other dimensions."""
    if name not in dataset:
        raise ValueError(f"{path} is damaged: the variable `{name}` is missing.")
    if dataset[name].dims != dims:
        raise ValueError(f"{path} is damaged: `{name}` has dims {dataset[name].dims}, but they must be {dims}.")
    return dataset[name]
