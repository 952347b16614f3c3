"""Every page of the built site is right in a real browser, on a desk and on a phone, opened as a file.

Needs a built site, named by the environment variable MFGJAX_SITE, Chromium with its driver, and the extra `browser`:
`sphinx-build docs build/site && MFGJAX_SITE=build/site pytest tests/test_site_in_a_browser.py`.
"""

import json
import os
import re
from pathlib import Path

import pytest
from browser import chromium, complaints, set_width, skip_without_browser

ROOT = Path(__file__).parent.parent
WIDTHS = {"desktop": 1280, "phone": 390}

if "MFGJAX_SITE" not in os.environ:
    pytest.skip("no site: MFGJAX_SITE names the folder of a built one", allow_module_level=True)
skip_without_browser()

SITE = Path(os.environ["MFGJAX_SITE"]).resolve()
PAGES = sorted(str(path.relative_to(SITE)) for path in SITE.rglob("*.html"))
SOURCES = {path.stem: path.read_text(encoding="utf-8") for path in (ROOT / "docs").glob("*.md")}
for notebook in (ROOT / "notebooks").glob("*.ipynb"):
    cells = json.loads(notebook.read_text(encoding="utf-8"))["cells"]
    prose = ["".join(cell["source"]) for cell in cells if cell["cell_type"] == "markdown"]
    SOURCES[f"notebooks/{notebook.stem}"] = "\n".join(prose)

# formulas without a size, text with LaTeX outside of code, what is wider than the window, and what the buttons copy
LOOK = r"""
    const formulas = [...document.querySelectorAll('math')];
    const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
    const texts = [];
    while (walker.nextNode())
        if (!walker.currentNode.parentElement.closest('pre, code, script, style'))
            texts.push(walker.currentNode.data);
    const found = {
        displayed: document.querySelectorAll('math[display=block]').length,
        empty: formulas.filter((formula) => {
            const box = formula.getBoundingClientRect();
            return box.width < 2 || box.height < 5;
        }).map((formula) => formula.outerHTML),
        refused: document.querySelectorAll('merror').length,
        raw: texts.filter((text) => /\$|\\[a-zA-Z([]/.test(text)),
        beyond: [...document.querySelectorAll('html, .content')].map((box) => box.scrollWidth - box.clientWidth),
        fonts: [...document.fonts].filter((font) => font.status == 'error').map((font) => font.family),
        copied: [],
    };
    document.execCommand = () => found.copied.push(document.activeElement.value);
    document.querySelectorAll('button.copybtn').forEach((button) => button.click());
    return found;
"""


@pytest.fixture(scope="module")
def browser():
    with chromium() as driver:
        yield driver


@pytest.fixture(scope="module")
def seen(browser):
    """What is seen of a page at a width; each is opened once."""
    found = {}

    def look(page, width):
        if (page, width) not in found:
            set_width(browser, WIDTHS[width])
            browser.get((SITE / page).as_uri())
            browser.execute_async_script("document.fonts.ready.then(arguments[0])")
            found[page, width] = browser.execute_script(LOOK)
            found[page, width]["console"] = complaints(browser)
        return found[page, width]

    return look


each_page = pytest.mark.parametrize("page", PAGES)
each_width = pytest.mark.parametrize("width", WIDTHS)


@each_width
@each_page
def test_a_page_opens_without_an_error(seen, page, width):
    found = seen(page, width)
    assert not found["console"] and not found["fonts"]


@each_width
@each_page
def test_formulas_are_typeset(seen, page, width):
    found = seen(page, width)
    assert not found["raw"] and not found["empty"] and not found["refused"]


@each_width
@each_page
def test_nothing_makes_a_page_wider_than_the_window(seen, page, width):
    assert max(seen(page, width)["beyond"]) <= 0


@pytest.mark.parametrize("name", [name for name, text in SOURCES.items() if "$$" in text])
def test_a_page_shows_each_displayed_formula_of_its_source(seen, name):
    formulas = re.findall(r"\$\$.+?\$\$", SOURCES[name], flags=re.DOTALL)
    assert seen(f"{name}.html", "desktop")["displayed"] == len(formulas)


def test_what_is_copied_has_no_prompts(seen):
    copied = [text for page in PAGES for text in seen(page, "desktop")["copied"]]
    assert sum("import mfgjax as mfg" in text for text in copied) > 10
    assert not [text for text in copied if re.search(r"^(>>>|\.\.\.|\$) ", text, flags=re.MULTILINE)]
