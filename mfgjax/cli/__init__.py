"""The command `mfgjax`."""

from .entry import main as main
