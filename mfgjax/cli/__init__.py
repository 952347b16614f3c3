"""The command `mfgjax`."""

from .app import main as main
