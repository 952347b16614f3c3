"""A script, not a test of the suite: the explorer in JupyterLab, in a real browser, with measured latencies.

    python tests/explore_in_jupyterlab.py --pictures build/jupyterlab

It starts JupyterLab, runs a notebook with an explorer, moves the slider of β 50 times, and checks that the picture
follows and agrees with `solve`. It prints the median and the worst time of a move, for Python alone and from the event
of the slider to the drawn picture. It needs JupyterLab, anywidget, Selenium, Chromium and its driver.
"""

import argparse
import contextlib
import shutil
import socket
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request
from pathlib import Path

import jax
import nbformat
import numpy as np
from selenium import webdriver
from selenium.webdriver.common.by import By
from selenium.webdriver.support.ui import WebDriverWait

jax.config.update("jax_enable_x64", True)
import mfgjax as mfg  # noqa: E402

MOVES = 50
CELL = """import jax
jax.config.update("jax_enable_x64", True)
import mfgjax as mfg
game = mfg.games.resource_allocation()
response = mfg.EntropyRegularized(3.0, mfg.games.resource_allocation_reference(game))
mfg.explore(game, response, beta=(0.05, 50), mix=(0, 1), title="Resource allocation")"""
MOVE = """
    const root = document.querySelector('.mfgjax-explorer');
    const slider = root.querySelector('input[data-name=beta]');
    slider.value = arguments[0];
    slider.dispatchEvent(new Event('input'));
"""
SEEN = """
    const root = document.querySelector('.mfgjax-explorer');
    const flow = root.querySelector('svg[data-picture=flow]');
    const line = flow.querySelector('polyline[data-state="3"]');
    return {place: root.dataset.place, milliseconds: root.dataset.milliseconds, y: flow.dataset.y,
            points: line.getAttribute('points'), verdict: root.querySelector('.verdict').textContent};
"""

THEME = """
    const done = arguments[1];
    document.querySelectorAll('.jp-Dialog, .Toastify').forEach((one) => one.remove());
    jupyterapp.commands.execute('apputils:change-theme', {theme: `JupyterLab ${arguments[0]}`}).then(done);
"""


@contextlib.contextmanager
def jupyterlab(folder: Path):
    """Serve a folder, and yield the address."""
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        port = found.getsockname()[1]
    options = [f"--ServerApp.port={port}", "--ServerApp.open_browser=False", "--IdentityProvider.token="]
    options += [f"--ServerApp.root_dir={folder}", "--ServerApp.allow_root=True", "--LabApp.expose_app_in_browser=True"]
    command = [sys.executable, "-m", "jupyterlab", *options]
    with (folder / "server.log").open("w") as log:
        server = subprocess.Popen(command, stdout=log, stderr=log)
    address = f"http://127.0.0.1:{port}"
    for _ in range(240):
        with contextlib.suppress(OSError), urllib.request.urlopen(f"{address}/api"):
            break
        time.sleep(0.5)
    try:
        yield address
    finally:
        server.terminate()
        try:
            server.wait(timeout=60)
        except subprocess.TimeoutExpired:
            server.kill()


@contextlib.contextmanager
def chromium():
    options = webdriver.ChromeOptions()
    options.binary_location = shutil.which("chromium")
    for argument in ("--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage"):
        options.add_argument(argument)
    options.add_argument("--window-size=1400,1200")
    with webdriver.Chrome(options=options, service=webdriver.ChromeService(shutil.which("chromedriver"))) as browser:
        yield browser


def run_cell(browser, address: str) -> None:
    """Open the notebook, run its cell, and wait until the curve is there: it compiles what later moves need."""
    browser.get(f"{address}/lab/tree/explore.ipynb")
    wait = WebDriverWait(browser, 240)
    wait.until(lambda b: b.find_elements(By.CSS_SELECTOR, ".jp-Notebook .cm-content"))

    def runs(b) -> bool:  # what comes before the kernel is lost
        for button in b.find_elements(By.CSS_SELECTOR, ".jp-Dialog .jp-mod-accept"):  # asks for the kernel
            button.click()
        b.execute_script("jupyterapp.commands.execute('notebook:run-all-cells')")
        time.sleep(3)
        return b.execute_script("return /[*\\d]/.test(document.querySelector('.jp-InputPrompt').textContent)")

    wait.until(runs)
    wait.until(lambda b: len(b.find_elements(By.CSS_SELECTOR, ".mfgjax-explorer .dot")) > 40)
    browser.execute_script("document.querySelector('.mfgjax-explorer').scrollIntoView()")


def check(seen: dict, beta: float) -> None:
    """Compare the line of state 3 with `solve`, to the pixel."""
    game = mfg.games.resource_allocation()
    reference = mfg.games.resource_allocation_reference(game)
    law = np.asarray(mfg.solve(game, mfg.EntropyRegularized(beta, reference)).mean_field)[:, 2]
    low, high, start, end = map(float, seen["y"].split()[:4])
    expected = start + (law - low) / (high - low) * (end - start)
    drawn = np.array([float(pair.split(",")[1]) for pair in seen["points"].split()])
    assert abs(drawn - expected).max() < 0.5, (drawn, expected)


def told(name: str, milliseconds: list[float]) -> None:
    median, worst = statistics.median(milliseconds), max(milliseconds)
    print(f"{name}: median {median:.1f} ms, worst {worst:.1f} ms of {len(milliseconds)} moves")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--pictures", type=Path, help="folder for screenshots, light and dark")
    pictures = parser.parse_args().pictures
    game = mfg.games.resource_allocation()
    response = mfg.EntropyRegularized(3.0, mfg.games.resource_allocation_reference(game))
    explorer = mfg.explore(game, response, beta=(0.05, 50), mix=(0, 1))
    steps = np.random.default_rng(0).permutation(201)[:MOVES].tolist()
    explorer.answer({"kind": "quantities", "places": [[step, 100] for step in range(0, 201, 5)]})
    own = []
    for step in steps:
        began = time.perf_counter()
        explorer.answer({"kind": "frame", "place": [step, 100]})
        own.append(1e3 * (time.perf_counter() - began))
    told("computing", own)
    with tempfile.TemporaryDirectory() as folder:
        notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(CELL)])
        notebook.metadata.kernelspec = {"name": "python3", "display_name": "Python 3", "language": "python"}
        nbformat.write(notebook, Path(folder) / "explore.ipynb")
        with jupyterlab(Path(folder)) as address, chromium() as browser:
            run_cell(browser, address)
            times, before = [], None
            for step in steps:
                browser.execute_script(MOVE, step)
                WebDriverWait(browser, 30, poll_frequency=0.01).until(
                    lambda b, step=step: b.execute_script(SEEN)["place"] == f"{step} 100"
                )
                seen = browser.execute_script(SEEN)
                assert seen["points"] != before, "the picture did not change"
                before = seen["points"]
                check(seen, float(explorer.sliders["beta"][step]))
                times.append(float(seen["milliseconds"]))
            told("to the picture", times)
            if pictures is not None:
                pictures.mkdir(parents=True, exist_ok=True)
                time.sleep(3)
                for theme in ("Light", "Dark"):
                    browser.execute_async_script(THEME, theme)
                    time.sleep(1)
                    browser.save_screenshot(str(pictures / f"{theme.lower()}.png"))


if __name__ == "__main__":
    main()
