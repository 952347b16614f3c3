"""The explorer in a real browser: its page from disk without a network, and the module that its widget runs."""

import re

import numpy as np
import pytest
import xarray as xr
from browser import chromium, complaints, set_width, skip_without_browser

import mfgjax as mfg
from mfgjax.explorers.page import script, style

skip_without_browser()

BETAS = np.geomspace(0.1, 10, 9)
MOVE = """
    const slider = document.querySelector(`input[data-name="${arguments[0]}"]`);
    slider.value = arguments[1];
    slider.dispatchEvent(new Event('input'));
"""


@pytest.fixture(scope="module")
def browser():
    with chromium("--host-resolver-rules=MAP * ~NOTFOUND") as driver:
        driver.execute_cdp_cmd("Network.enable", {})
        offline = {"offline": True, "latency": 0, "downloadThroughput": 0, "uploadThroughput": 0}
        driver.execute_cdp_cmd("Network.emulateNetworkConditions", offline)
        set_width(driver, 1200)
        yield driver


@pytest.fixture(scope="module")
def game():
    return mfg.games.resource_allocation()


@pytest.fixture(scope="module")
def rho(game):
    return mfg.games.resource_allocation_reference(game)


@pytest.fixture(scope="module")
def page(game, rho, tmp_path_factory):
    ds = mfg.sweep(game, mfg.EntropyRegularized(1.0, rho), beta=BETAS, progress=False)
    return mfg.explore(game, ds).to_html(tmp_path_factory.mktemp("page") / "explorer.html")


def opened(browser, path):
    complaints(browser)
    browser.get(path.as_uri())
    return wait(browser, "return document.querySelector('.verdict.found, .verdict.failed')")


def wait(browser, script):
    from selenium.webdriver.support.ui import WebDriverWait

    return WebDriverWait(browser, 20, poll_frequency=0.02).until(lambda b: b.execute_script(script))


def moved(browser, name, step, place):
    browser.execute_script(MOVE, name, step)
    wait(browser, f"return document.querySelector('.mfgjax-explorer').dataset.place == '{place}'")


def pixels(browser, picture, axis, numbers):
    """Where numbers stand on an axis of a picture, by the scale that it publishes."""
    published = browser.execute_script(f"return document.querySelector('svg[data-picture={picture}]').dataset.{axis}")
    low, high, start, end = map(float, published.split()[:4])
    if published.endswith("log"):
        low, high, numbers = np.log(low), np.log(high), np.log(numbers)
    return start + (np.asarray(numbers) - low) / (high - low) * (end - start)


def lines(browser):
    """The heights of the line of each state."""
    script = "return [...document.querySelectorAll('polyline[data-state]')].map((x) => x.getAttribute('points'))"
    return np.array([[float(pair.split(",")[1]) for pair in line.split()] for line in browser.execute_script(script)])


def texts_of(browser, selector):
    return browser.execute_script(
        "return [...document.querySelectorAll(arguments[0])].map((x) => x.textContent)", selector
    )


def test_a_moved_slider_draws_the_equilibrium_there_to_the_pixel(browser, page, game, rho):
    opened(browser, page)
    before = lines(browser)
    moved(browser, "beta", 8, "8")
    law = np.asarray(mfg.solve(game, mfg.EntropyRegularized(BETAS[8], rho)).mean_field)
    np.testing.assert_allclose(lines(browser), pixels(browser, "flow", "y", law.T), atol=0.5)
    assert abs(lines(browser) - before).max() > 5
    present = [
        float(browser.execute_script(f"return document.querySelector('circle.present').getAttribute('{c}')"))
        for c in ("cx", "cy")
    ]
    expected = pixels(browser, "quantity", "x", BETAS[8]), pixels(browser, "quantity", "y", law[-1].max())
    np.testing.assert_allclose(present, expected, atol=0.5)
    assert not complaints(browser)


def test_the_areas_of_nodes_are_shares(browser, page, game, rho):
    opened(browser, page)
    moved(browser, "beta", 0, "0")
    browser.execute_script(MOVE, "time", 5)
    law = np.asarray(mfg.solve(game, mfg.EntropyRegularized(BETAS[0], rho)).mean_field)[5]
    radii = browser.execute_script(
        "return [...document.querySelectorAll('circle.node')].map((x) => +x.getAttribute('r'))"
    )
    largest = float(browser.execute_script("return document.querySelector('svg[data-picture=places]').dataset.radius"))
    np.testing.assert_allclose(radii, np.maximum(2.5, largest * np.sqrt(law)), atol=0.1)  # dots are seen, too


@pytest.mark.parametrize("width", [240, 420, 760, 1200])
def test_no_text_lies_outside_the_page_or_on_another_text(browser, page, width):
    set_width(browser, width)
    opened(browser, page)
    boxes = browser.execute_script("""
        return [...document.querySelectorAll('svg text')].map((x) => [x.getBoundingClientRect(), x.textContent])
            .map(([b, text]) => [b.left, b.right, b.top, b.bottom, text]);
    """)
    set_width(browser, 1200)
    assert min(b[0] for b in boxes) >= 0 and max(b[1] for b in boxes) <= width
    for i, a in enumerate(boxes):
        for b in boxes[:i]:  # two units of the line height may touch
            apart = a[0] >= b[1] - 1 or b[0] >= a[1] - 1 or a[2] >= b[3] - 4 or b[2] >= a[3] - 4
            assert apart, (a[4], b[4])


def test_sliders_move_by_the_keyboard_and_have_names(browser, page):
    from selenium.webdriver.common.by import By
    from selenium.webdriver.common.keys import Keys

    opened(browser, page)
    slider = browser.find_element(By.CSS_SELECTOR, "input[data-name=beta]")
    assert slider.accessible_name == "β, inverse temperature"
    start = int(slider.get_attribute("value"))
    slider.send_keys(Keys.ARROW_RIGHT)
    wait(browser, f"return document.querySelector('.mfgjax-explorer').dataset.place == '{start + 1}'")
    assert slider.get_attribute("aria-valuetext") == f"{BETAS[start + 1]:.3g}"


def stored(result_code, states=("a", "b"), **coords):
    """A small dataset as `sweep` returns it, of a stationary game."""
    coords = coords or {"toll": [0.0, 1.0]}
    shape = tuple(len(values) for values in coords.values())
    share = np.linspace(0.1, 0.4, int(np.prod(shape))).reshape(shape)
    law = np.stack([share, 1 - share], axis=-1)
    zero = np.zeros(shape)
    data = {"mean_field": ((*coords, "state"), law), "residual": (tuple(coords), zero)}
    data["result_code"] = (tuple(coords), np.broadcast_to(result_code, shape).astype(np.int32))
    return xr.Dataset(data, {**coords, "state": np.array(states, dtype=object)})


def test_a_point_without_an_equilibrium_says_so_in_words_and_is_not_drawn_as_one(browser, tmp_path):
    failed = stored([0, 2]).assign(result_period=("toll", [0, 3]))
    path = mfg.explore(failed).to_html(tmp_path / "failed.html")
    opened(browser, path)
    moved(browser, "toll", 1, "1")
    text = browser.execute_script("return document.querySelector('.verdict').textContent")
    assert text.startswith("No equilibrium found: cycle. The iteration entered a cycle of period 3")
    assert (
        browser.execute_script("return document.querySelector('svg.failed .stamp').textContent") == "not an equilibrium"
    )
    assert browser.execute_script("return document.querySelectorAll('path.failed').length") >= 1
    assert not browser.execute_script("return document.querySelectorAll('circle.present').length")


def test_an_equilibrium_whose_quantity_is_no_number_has_no_place_in_the_picture(browser, tmp_path):
    numbers = stored(0, toll=[0.0, 1.0, 2.0]).assign(price=("toll", [20.109, 20.1091, np.nan]))
    opened(browser, mfg.explore(numbers, quantity="price").to_html(tmp_path / "price.html"))
    heights = browser.execute_script("return [...document.querySelectorAll('.dot')].map((x) => +x.getAttribute('cy'))")
    np.testing.assert_allclose(heights, pixels(browser, "quantity", "y", [20.109, 20.1091]), atol=0.1)
    ticks = texts_of(browser, "svg[data-picture=quantity] text[text-anchor=end]")
    assert len(set(ticks)) == len(ticks) >= 3  # with as many digits as tell them apart
    moved(browser, "toll", 2, "2")
    assert not browser.execute_script("return document.querySelectorAll('.present, path.failed').length")


def test_many_actions_are_a_map(browser, tmp_path):
    actions = [f"action {i}" for i in range(40)]
    policy = (("toll", "state", "action"), np.full((2, 2, 40), 1 / 40))
    many = stored(0).assign(policy=policy).assign_coords(action=np.array(actions, dtype=object))
    opened(browser, mfg.explore(many).to_html(tmp_path / "many.html"))
    names = texts_of(browser, "svg[data-picture=policy] text")
    assert "action 0" in names and not [name for name in names if len(name) == 1 and name not in "ab01"]


def test_two_explorers_of_one_page_have_their_own_labels(browser, page, tmp_path):
    text = page.read_text(encoding="utf-8")
    module = re.search(r'<script type="module">(.*?)</script>', text, re.DOTALL)[1]
    second = module.replace('getElementById("explorer")', 'getElementById("second")')
    body = f'<main id="second"></main><script type="module">{second}</script></body>'
    (tmp_path / "two.html").write_text(text.replace("</body>", body), encoding="utf-8")
    opened(browser, tmp_path / "two.html")
    wait(browser, "return document.querySelectorAll('.verdict.found').length == 2")
    labels = "[...document.querySelectorAll('.slider label')]"
    assert browser.execute_script(f"return {labels}.every((x) => x.parentElement.contains(x.control))")


def test_names_that_look_like_html_are_names(browser, tmp_path):
    evil = "</script><b>", "<img src=x onerror=alert(1)>"
    path = mfg.explore(stored(0, states=evil), title="<!--").to_html(tmp_path / "evil.html")
    opened(browser, path)
    titles = browser.execute_script("return [...document.querySelectorAll('rect.bar title')].map((x) => x.textContent)")
    assert [title.rsplit(":", 1)[0] for title in titles] == list(evil)
    assert browser.execute_script("return document.querySelector('h2').textContent") == "<!--"
    assert not complaints(browser)


def test_a_path_that_folds_rings_all_equilibria_at_the_slider(browser, tmp_path):
    explorer = mfg.explore(stored(0, field=np.linspace(-1.0, 1.0, 5)))
    # from −1 to 1 and back and forth: at 0 it passes three times
    numbers, quantities = [-1.0, 0.5, -0.5, 1.0], [0.6, 0.7, 0.8, 0.9]
    path = {"along": 0, "others": [0.0], "numbers": numbers, "quantities": quantities, "text": ""}
    explorer._paths[0] = path
    opened(browser, explorer.to_html(tmp_path / "path.html"))
    heights = browser.execute_script(
        "return [...document.querySelectorAll('circle.other')].map((x) => +x.getAttribute('cy'))"
    )
    expected = [0.6 + 0.1 * 2 / 3, 0.75, 0.8 + 0.1 / 3]  # on the straight pieces
    np.testing.assert_allclose(heights, pixels(browser, "quantity", "y", expected), atol=0.1)
    moved(browser, "field", 4, "4")
    assert browser.execute_script("return document.querySelectorAll('circle.other').length") == 1


@pytest.mark.parametrize(
    ("background", "theme"),
    [
        ("white", "light"),
        ("oklch(1 0 0)", "light"),
        ("color(srgb 0.95 0.95 0.95)", "light"),
        ("oklch(0.2 0 0)", "dark"),
        ("rgb(10, 10, 10)", "dark"),
    ],
)
def test_an_explorer_is_dark_where_the_page_behind_it_is(browser, tmp_path, background, theme):
    """In whatever way a notebook writes its colours."""
    path = mfg.explore(stored(0)).to_html(tmp_path / "page.html")
    path.write_text(path.read_text(encoding="utf-8").replace("<body", f'<body style="background: {background}"', 1))
    opened(browser, path)
    assert browser.execute_script("return document.querySelector('.mfgjax-explorer').dataset.theme") == theme


MODEL = """
    window.values = arguments[0];
    window.requests = [];
    const calls = [];
    window.model = {
        get: (name) => values[name],
        set: (name, value) => (values[name] = value),
        save_changes: () => requests.push(values.request),
        on: (event, call) => calls.push(call),
        off: () => {},
    };
    window.answered = (answer) => { values.answer = answer; calls.forEach((call) => call()); };
    const source = document.getElementById('module').textContent;
    import(URL.createObjectURL(new Blob([source], {type: 'text/javascript'})))
        .then((module) => module.default.render({model, el: document.getElementById('here')}));
"""


def test_the_widget_answers_each_move_of_its_page(browser, tmp_path, game, rho):
    pytest.importorskip("anywidget", reason="no anywidget: it comes with the extra `explore`")
    explorer = mfg.explore(game, mfg.EntropyRegularized(3.0, rho), beta=(0.1, 10))
    widget = explorer.widget()
    page = f"<style>{style()}</style><div id=here></div><script type=text/plain id=module>{script()}</script>"
    (tmp_path / "widget.html").write_text(page, encoding="utf-8")
    complaints(browser)
    browser.get((tmp_path / "widget.html").as_uri())
    browser.execute_script(MODEL, {"scene": widget.scene})

    def serve(until):
        """Hand requests of the page to the widget, and its answers to the page."""

        def step(b):
            for request in b.execute_script("return requests.splice(0)"):
                widget.request = request
                b.execute_script("answered(arguments[0])", widget.answer)
            return b.execute_script(until)

        from selenium.webdriver.support.ui import WebDriverWait

        return WebDriverWait(browser, 60, poll_frequency=0.02).until(step)

    serve("return document.querySelectorAll('.dot').length > 40")  # the curve, a few points at a time
    before = lines(browser)
    browser.execute_script(MOVE, "beta", 200)
    serve("return document.querySelector('.mfgjax-explorer').dataset.place == '200'")
    law = np.asarray(mfg.solve(game, mfg.EntropyRegularized(10.0, rho)).mean_field)
    np.testing.assert_allclose(lines(browser), pixels(browser, "flow", "y", law.T), atol=0.5)
    assert abs(lines(browser) - before).max() > 5
    assert explorer.place == [200] and not complaints(browser)


def test_a_page_names_no_address(page):
    found = set(re.findall(r"https?://[\w./-]+", page.read_text(encoding="utf-8")))
    assert found == {"http://www.w3.org/2000/svg"}  # the name of SVG, which nobody opens
