"""Chromium for tests, where it is installed."""

import shutil
from contextlib import contextmanager

import pytest

CHROMIUM, DRIVER = shutil.which("chromium"), shutil.which("chromedriver")


def skip_without_browser():
    """Skip the module that calls this, with a sentence, where there is no browser."""
    if CHROMIUM is None or DRIVER is None:
        pytest.skip("no browser: `chromium` and `chromedriver` are not on the path", allow_module_level=True)
    pytest.importorskip("selenium.webdriver", reason="no Selenium: it comes with the extra `browser`")


@contextmanager
def chromium(*arguments):
    """Yield a browser without a window, which keeps what is written to its console."""
    from selenium import webdriver

    options = webdriver.ChromeOptions()
    options.binary_location = CHROMIUM
    for argument in ("--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", *arguments):
        options.add_argument(argument)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    with webdriver.Chrome(options=options, service=webdriver.ChromeService(DRIVER)) as driver:
        yield driver


def complaints(browser):
    """Return the errors and warnings of the console since the last call."""
    return [entry["message"] for entry in browser.get_log("browser") if entry["level"] in ("SEVERE", "WARNING")]


def set_width(browser, width, height=900):
    """Give the window a width, as that of a phone below 600."""
    size = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": width < 600}
    browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
