"""The command `mfgjax`."""

from .main import main as main
