"""Equilibria under sliders: in a notebook, and as a page to share."""

from .explore import explore as explore
from .explorer import Explorer as Explorer
