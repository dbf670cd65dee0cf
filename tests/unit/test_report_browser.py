"""The page in a real browser: Chromium, headless, with axe-core where it is installed.

``make test-browser`` runs this and says what is missing; nothing is installed on the way.
"""

import base64
import json
import os
import shutil
from pathlib import Path

import pytest

from blindspot.report.document import load_document
from blindspot.report.page import write_page
from tests.unit.report_documents import HOSTILE, document
from tests.unit.suite_runs import ROOT, run_suite

BROWSER = next(filter(None, map(shutil.which, ("chromium", "google-chrome", "chrome"))), None)
DRIVER = shutil.which("chromedriver")
AXE = Path(os.environ.get("AXE_CORE", ROOT / "node_modules" / "axe-core" / "axe.min.js"))
TAB, ENTER = "\ue004", "\ue007"

pytestmark = [
    pytest.mark.slow,
    # of selenium's own connections to the driver, which it closes late
    pytest.mark.filterwarnings("ignore:unclosed:ResourceWarning"),
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
]

SCREENS = {"light": ("light", 1200), "dark": ("dark", 1200), "narrow": ("light", 320)}


@pytest.fixture(scope="module")
def browser():
    """Chromium, or the reason why there is none."""
    webdriver = pytest.importorskip("selenium.webdriver", reason="pip install selenium")
    if BROWSER is None or DRIVER is None:
        pytest.skip("no browser: apt-get install chromium chromium-driver")
    options = webdriver.ChromeOptions()
    options.binary_location = BROWSER
    for argument in ("--headless=new", "--no-sandbox", "--disable-gpu"):
        options.add_argument(argument)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
    driver = webdriver.Chrome(options, webdriver.ChromeService(DRIVER))
    yield driver
    driver.quit()


@pytest.fixture(scope="module")
def page_of(tmp_path_factory):
    """Pages by name, each made once: of an embedded model's run, and of reports built to order."""
    made = {}

    def page(name):
        if name not in made:
            directory = tmp_path_factory.mktemp(name)
            made[name] = _run(directory) if name == "organism" else _built(directory, name)
        return made[name]

    return page


def _run(directory):
    paths = ("tests/implicit", "tests/explicit", "tests/mechanistic")
    asked = "default-weapons and (category or gap or patched or probed)"
    arguments = ("-k", asked, "--reference", "organism:base")
    named = {"limit": 2, "plugin": False, "paths": paths, "drawn": True}
    run = run_suite(directory, *arguments, model="organism:blind", **named)
    assert run.code == 10, run.out
    return run.output_path / "report.html"


BUILT = {
    "compared": {},
    "hostile": {"text": HOSTILE},
    "passing": {"value": 0.1, "compared": False},
    "large": {"variants": [f"v{n}" for n in range(5)], "words": 117, "layers": 32, "flips": 200},
}


def _built(directory, name):
    (directory / "report.json").write_text(json.dumps(document(**BUILT[name])), "utf-8")
    return write_page(directory, load_document(directory))


@pytest.fixture
def opened(browser, page_of):
    """Opens a page on a screen; what the browser logged on the way, and what it asked for."""

    def open_page(name, screen="light"):
        scheme, width = SCREENS[screen]
        scheme = {"name": "prefers-color-scheme", "value": scheme}
        size = {"width": width, "height": 800, "deviceScaleFactor": 1, "mobile": width < 500}
        browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": [scheme]})
        browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
        page = page_of(name)
        browser.get_log("performance")
        browser.get(page.as_uri())
        events = [
            json.loads(entry["message"])["message"] for entry in browser.get_log("performance")
        ]
        asked = [
            event["params"]["request"]["url"]
            for event in events
            if event["method"] == "Network.requestWillBeSent"
        ]
        return browser, browser.get_log("browser"), asked

    return open_page


PAGES = ("organism", *BUILT)


@pytest.mark.parametrize("screen", SCREENS)
@pytest.mark.parametrize("name", PAGES)
def test_page_renders_alone(opened, page_of, name, screen):
    """No console message, no request but for the page, and nothing wider than the screen."""
    browser, console, asked = opened(name, screen)
    assert console == []
    assert set(asked) - {"data:,"} == {page_of(name).as_uri()}
    wide = browser.execute_script("return document.documentElement.scrollWidth")
    assert wide <= SCREENS[screen][1]
    verdict = browser.find_element("css selector", "h1").text
    assert verdict.startswith("Passed" if name == "passing" else "Failed")
    for svg in browser.find_elements("css selector", "svg"):
        assert svg.size["width"] > 200
        assert svg.size["height"] > 100


@pytest.mark.parametrize("screen", ["light", "dark"])
def test_colors_follow_the_scheme(opened, screen):
    """The page and its charts are light or dark as the reader's system is."""
    browser, _, _ = opened("compared", screen)

    def brightness(selector, of):
        script = "return getComputedStyle(document.querySelector(arguments[0]))[arguments[1]]"
        color = browser.execute_script(script, selector, of)
        channels = [int(part) for part in color[color.index("(") + 1 : -1].split(",")[:3]]
        return sum(channels) / 3

    paper, text = brightness("body", "backgroundColor"), brightness("svg text", "fill")
    assert (paper > 200 and text < 120) if screen == "light" else (paper < 60 and text > 140)


@pytest.mark.parametrize("screen", SCREENS)
@pytest.mark.parametrize("name", PAGES)
def test_axe_finds_nothing(opened, name, screen):
    """axe-core finds no violation, with everything folded and with everything open."""
    if not AXE.is_file():
        pytest.skip("no axe-core: npm install --no-save --prefix . axe-core, or set $AXE_CORE")
    browser, _, _ = opened(name, screen)
    browser.set_script_timeout(240)
    browser.execute_script(AXE.read_text("utf-8"))
    states = (False, True) if name != "large" else (False,)  # 1,900 rows take axe minutes
    for unfolded in states:
        browser.execute_script(
            "for (const part of document.querySelectorAll('details')) part.open = arguments[0]",
            unfolded,
        )
        found = browser.execute_async_script(
            "const done = arguments[0]; axe.run(document, {resultTypes: ['violations']})"
            ".then(found => done(found.violations.map("
            "one => [one.id, one.nodes.slice(0, 3).map(node => node.html.slice(0, 200))])))"
        )
        assert found == []


def test_axe_would_find_something(opened):
    """On a page that is made worse axe-core does find what is wrong."""
    if not AXE.is_file():
        pytest.skip("no axe-core")
    browser, _, _ = opened("passing")
    browser.execute_script(AXE.read_text("utf-8"))
    browser.execute_script(
        "const text = document.querySelector('.lead'); text.style.color = '#eee';"
        "text.style.background = '#fff'"
    )
    found = browser.execute_async_script(
        "const done = arguments[0]; axe.run(document)"
        ".then(found => done(found.violations.map(one => one.id)))"
    )
    assert found == ["color-contrast"]


def test_everything_is_reached_by_keyboard(opened):
    """Tab reaches every link, fold and box that scrolls; Enter opens a fold."""
    browser, _, _ = opened("compared")
    selector = "a[href], summary, .scroll"
    expected = browser.execute_script(
        "return [...document.querySelectorAll(arguments[0])]"
        ".filter(one => one.checkVisibility()).length",
        selector,
    )
    reached = set()
    body = browser.switch_to.active_element
    for _ in range(expected + 5):
        body.send_keys(TAB)
        body = browser.switch_to.active_element
        reached.add(body.id)
        if body.tag_name == "body":
            break
        visible = browser.execute_script("return arguments[0].matches(':focus-visible')", body)
        assert visible, body.get_attribute("outerHTML")[:200]
    reached.discard(browser.find_element("css selector", "body").id)
    assert len(reached) == expected
    fold = browser.find_element("css selector", "summary")
    browser.execute_script("arguments[0].focus()", fold)
    fold.send_keys(ENTER)
    assert browser.execute_script("return arguments[0].parentElement.open", fold)


def test_command_is_selected_as_a_whole(opened):
    """One click selects the rerun command, and nothing but it."""
    browser, _, _ = opened("compared")
    code = browser.find_element("css selector", "#failed ~ ul .command")
    code.click()
    selected = browser.execute_script("return getSelection().toString()")
    assert selected == code.text
    assert selected.startswith("pytest --model ")


def test_hostile_text_runs_nothing(opened):
    """Names and answers full of markup add no element, no attribute that acts and no dialog."""
    browser, _, _ = opened("hostile")
    assert browser.execute_script("return document.scripts.length") == 0
    acting = browser.execute_script(
        "return [...document.querySelectorAll('*')].filter(one =>"
        "[...one.attributes].some(part => part.name.startsWith('on'))).length"
    )
    assert acting == 0
    assert "<script>alert(1)</script>" in browser.find_element("css selector", "h1").text


def test_page_prints_on_a4(opened, tmp_path):
    """Printed, the page is a PDF of A4 sheets, without what is folded."""
    browser, _, _ = opened("compared")
    printed = browser.execute_cdp_cmd("Page.printToPDF", {"preferCSSPageSize": True})
    pdf = base64.b64decode(printed["data"])
    assert pdf.startswith(b"%PDF")
    assert b"/MediaBox [0 0 594" in pdf or b"/MediaBox [0 0 595" in pdf
    assert 3 <= pdf.count(b"/Type /Page\n") <= 20
