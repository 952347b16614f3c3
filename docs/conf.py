"""The site. Build it with `sphinx-build -W --keep-going -b html docs build/site`."""

import os
import sys
from importlib.resources import files
from pathlib import Path

HERE = Path(__file__).parent
sys.path[:0] = [str(HERE.parent), str(HERE / "_ext"), str(HERE.parent / "tests")]

import quick_compile  # noqa: E402  # of the tests

import notebooks  # noqa: E402  # of _ext

# the gallery runs in a process of its own, nearly all of it is compilation, and each program runs once
os.environ["PYTHONPATH"] = os.pathsep.join([str(HERE.parent), os.environ.get("PYTHONPATH", "")])
quick_compile.compile_quickly()

project = "mfgjax"
copyright = "the authors of mfgjax"
extensions = ["sphinx.ext.autodoc", "sphinx.ext.napoleon", "myst_nb", "sphinx_design", "sphinx_copybutton"]
extensions += ["docstrings", "command_line", "formulas", "links", "offered", "typography"]  # of _ext
exclude_patterns = ["_ext", "_extra"]

html_theme = "furo"
html_title = "mfgjax"
html_theme_options = {"navigation_with_keys": True}
smartquotes = False  # "beta" is a string
html_copy_source = False
# MathML needs a font that knows how formulas are set, and few systems have one; this package ships STIX Two Math
html_static_path = ["_static", str(files("ziamath") / "fonts" / "STIXTwoMath-Regular.ttf")]
html_css_files = ["site.css"]
(HERE / "_extra").mkdir(exist_ok=True)  # what `explore.md` writes when it is run
html_extra_path = ["_extra"]
python_maximum_signature_line_length = 90
toc_object_entries_show_parents = "hide"

myst_enable_extensions = ["colon_fence", "deflist", "dollarmath"]
myst_heading_anchors = 4
nb_execution_mode = "off"  # notebooks are committed with their outputs; the gallery asks to be run
nb_execution_timeout = 300
nb_execution_raise_on_error = True
nb_merge_streams = True

copybutton_prompt_text = r">>> |\.\.\. |\$ "
copybutton_prompt_is_regexp = True
copybutton_selector = "div:not(.output) > div.highlight > pre"

autodoc_typehints = "none"  # `docstrings` writes signatures, with shapes
autodoc_member_order = "bysource"
autodoc_inherit_docstrings = True
napoleon_numpy_docstring = False
napoleon_attr_annotations = True

notebooks.copy(HERE.parent / "notebooks", HERE / "notebooks")
