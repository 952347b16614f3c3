"""A sweep on disk: written tile by tile, and resumed after an interruption."""

import json
import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr

from .._coordinates import without_texts_of_numbers
from .._files import remove_drafts, written_whole
from .._identity import changed, identity
from .._result import NOT_COMPUTED
from .._shorten import shorten_text
from .grid import Tile
from .outputs import ATTRIBUTES
from .record import told

FORMAT = "mfgjax-sweep/1"
_NOTES = ".mfgjax"
_LAST = "result_code"  # written last: a tile of which it is there is there whole


class Store:
    """The folder of a sweep, in zarr's format; lanes that are not computed have the result code −1."""

    def __init__(self, path: Path):
        self.path = path

    @property
    def notes(self) -> Path:
        """The folder in it for what is no part of the dataset."""
        return self.path / _NOTES

    def begin(
        self,
        coords: xr.Dataset,
        variables: Mapping[str, Any],
        chunk: Tile,
        ingredients: Mapping[str, Any],
        save_call: Callable[[Path], None],
    ) -> None:
        """Make the folder, or check that an existing one belongs to the same sweep.

        Args:
          coords: coordinates and attributes.
          variables: name to `(dims, shape, dtype)`, lanes first.
          chunk: the first tile, as large as any.
          ingredients: of the identity, by the names they have in a refusal.
          save_call: writes what is computed into the folder of notes.
        """
        own_identity = identity(ingredients)
        if self.path.exists():
            self.check(own_identity)
            return
        self.path.parent.mkdir(parents=True, exist_ok=True)
        coords = coords.assign_attrs(format=FORMAT, identity=json.dumps(own_identity))
        try:
            self._make(coords, variables, chunk, save_call)
        except OSError:
            if not self.path.exists():
                raise
            self.check(own_identity)  # another process has made it meanwhile
        remove_drafts(self.path)

    def _make(
        self, coords: xr.Dataset, variables: Mapping[str, Any], chunk: Tile, save_call: Callable[[Path], None]
    ) -> None:
        with written_whole(self.path) as partial:
            # consolidated metadata would hide arrays that are made later
            coords.to_zarr(partial, mode="w", consolidated=False, zarr_format=2)
            group = _zarr().open_group(partial, mode="r+")
            for name, (dims, shape, dtype) in variables.items():
                inner = shape[len(chunk.shape) :]
                group.create_array(
                    name,
                    shape=shape,
                    chunks=(*chunk.shape, *inner),
                    dtype=dtype,
                    # chunks that were never written read as this
                    fill_value=np.nan if np.issubdtype(dtype, np.floating) else NOT_COMPUTED if name == _LAST else 0,
                    compressors=None,  # then a file of another size than its chunk is damaged, see `_check_files`
                    attributes={"_ARRAY_DIMENSIONS": list(dims), **ATTRIBUTES.get(name, {})},
                )
            group.create_group(_NOTES)  # else zarr would warn of something unknown
            save_call(partial / _NOTES)

    def check(self, own_identity: Mapping[str, str]) -> None:
        found = None
        if self.path.is_dir():
            try:
                attrs = dict(_zarr().open_group(self.path, mode="r").attrs)
                found = json.loads(str(attrs["identity"])) if attrs.get("format") == FORMAT else None
            except (OSError, KeyError, ValueError):
                found = None
        if found is None:
            raise ValueError(
                f"`out` is {self.path}, which exists, but is not a sweep that this version of mfgjax can resume: give "
                "another folder."
            )
        self._check_files()
        if names := changed(own_identity, found):
            what = _listed(told(names))
            raise ValueError(
                f"`out` is {self.path}, which holds another sweep: {what} changed. Give another folder, or delete that "
                "one."
            )

    def is_done(self, tiles: list[Tile]) -> np.ndarray:
        """Tell for each tile whether it has been written."""
        codes: Any = _zarr().open_group(self.path, mode="r")[_LAST]
        if len(tiles) > 1:  # one file after the other takes longer
            codes = codes[...]
        return np.array([bool((codes[tile.region] != NOT_COMPUTED).all()) for tile in tiles])

    def write(self, tile: Tile, arrays: Mapping[str, np.ndarray]) -> None:
        """Write a tile; each file is there whole or not at all."""
        group = _zarr().open_group(self.path, mode="r+")
        for name in sorted(arrays, key=lambda name: name == _LAST):
            array: Any = group[name]
            inner = tuple(slice(0, n) for n in arrays[name].shape[len(tile.shape) :])
            array[(*tile.region, *inner)] = arrays[name]

    def note_error(self, number: int, sentence: str) -> None:
        """Keep the error that a block has met."""
        with written_whole(self.notes / f"error-{number}.txt") as partial:
            partial.write_text(sentence, encoding="utf-8")

    def error(self, number: int) -> str:
        """Return the error that a block has met last."""
        return (self.notes / f"error-{number}.txt").read_text(encoding="utf-8")

    def dataset(self) -> xr.Dataset:
        """Return the sweep as a dataset, whose arrays are read when they are used."""
        try:
            # codes and counts stay whole numbers
            found = xr.open_zarr(self.path, consolidated=False, chunks=None, mask_and_scale=False)
            labels = {
                name: (c.dims, c.values.astype(object)) for name, c in found.coords.items() if c.dtype.kind in "TU"
            }
            found = without_texts_of_numbers(found.assign_coords(labels))
        except Exception as error:  # the libraries below raise all kinds
            message = shorten_text(str(error), 120)
            raise ValueError(f"`out` is {self.path}, whose coordinates cannot be read: {message}.") from error
        for variable in found.variables.values():  # as the data are in memory: what was written with is no part
            variable.attrs.pop("_FillValue", None)
        return found.drop_encoding()

    def _check_files(self) -> None:
        """Refuse a file that is shorter or longer than its chunk: the arrays of a sweep are not compressed."""
        for folder in sorted(path for path in self.path.iterdir() if (path / ".zarray").is_file()):
            about = json.loads((folder / ".zarray").read_text(encoding="utf-8"))
            if about["compressor"] is not None or about["filters"]:
                continue
            size = int(np.prod(about["chunks"], dtype=int)) * np.dtype(about["dtype"]).itemsize
            for file in sorted(folder.iterdir()):
                # what was being written when the sweep was killed has another name
                if re.fullmatch(r"\d+(\.\d+)*", file.name) and file.stat().st_size != size:
                    raise ValueError(
                        f"`out` is {self.path}, in which the file {file.relative_to(self.path)} is damaged: it has "
                        f"{file.stat().st_size:,} bytes of {size:,}. Give another folder, or delete that one."
                    )


def _zarr() -> Any:
    import zarr  # a fifth of a second, and only sweeps on disk need it

    return zarr


def _listed(names: list[str]) -> str:
    return names[0] if len(names) == 1 else ", ".join(names[:-1]) + " and " + names[-1]
