#!/usr/bin/env python3
"""Opens a page in headless Chromium, wide and as wide as a phone, light and dark, and says what is wrong with it.

check_page.py PAGE --headings "A|B|C" [--screenshots FOLDER]
Prints a line per view. Exit codes: 0 sound, 1 not, 77 there is no Chromium or no chromedriver.
"""
import argparse
import base64
import contextlib
import json
import os
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile
import urllib.request

WIDE = {"width": 1200, "height": 900, "deviceScaleFactor": 1, "mobile": False}
PHONE = {"width": 390, "height": 844, "deviceScaleFactor": 2, "mobile": True}
VIEWS = [("wide-light", WIDE, "light"), ("wide-dark", WIDE, "dark"),
         ("phone-light", PHONE, "light"), ("phone-dark", PHONE, "dark")]
TIMEOUT_S = 30

LOOK = """
const shown = element => {
  const box = element.getBoundingClientRect(), style = getComputedStyle(element);
  return box.width > 0 && box.height > 0 && box.left >= 0 && box.right <= innerWidth && style.visibility === 'visible';
};
const bright = color => color.match(/[0-9.]+/g).slice(0, 3).reduce((sum, c) => sum + Number(c), 0) / 3;
const body = getComputedStyle(document.body);
return {
  headings: [...document.querySelectorAll('h2')].filter(shown).map(h => h.textContent),
  broken_images: [...document.images].filter(i => !i.complete || i.naturalWidth === 0).length,
  scroll_width: document.documentElement.scrollWidth, width: innerWidth,
  page: bright(body.backgroundColor), ink: bright(body.color), font_px: parseFloat(body.fontSize)
};
"""


class Browser:
    """A session of chromedriver, spoken to as the W3C's WebDriver says."""

    def __init__(self, port, folder):
        self.url = f"http://127.0.0.1:{port}/session"
        arguments = ["--headless=new", "--disable-gpu", "--disable-dev-shm-usage", "--no-first-run",
                     "--disable-background-networking", "--disable-component-update", f"--user-data-dir={folder}",
                     "--host-resolver-rules=MAP * ~NOTFOUND",
                     "--no-sandbox"]  # which needs rights that CI may lack; the page is our own
        capabilities = {"browserName": "chrome", "goog:chromeOptions": {"args": arguments},
                        "goog:loggingPrefs": {"browser": "ALL", "performance": "ALL"}}
        self.url += "/" + self.post("", {"capabilities": {"alwaysMatch": capabilities}})["sessionId"]

    def send(self, method, path, body=None):
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(self.url + path, data, {"Content-Type": "application/json"}, method=method)
        with urllib.request.build_opener(urllib.request.ProxyHandler({})).open(request, timeout=TIMEOUT_S) as answer:
            return json.load(answer)["value"]

    def post(self, path, body):
        return self.send("POST", path, body)

    def devtools(self, command, **parameters):
        return self.post("/goog/cdp/execute", {"cmd": command, "params": parameters})

    def log(self, kind):
        return self.post("/se/log", {"type": kind})

    def requests(self):
        """The addresses that were asked for since the last call."""
        messages = [json.loads(entry["message"])["message"] for entry in self.log("performance")]
        return [m["params"]["request"]["url"] for m in messages if m["method"] == "Network.requestWillBeSent"]

    def close(self):
        self.send("DELETE", "")


@contextlib.contextmanager
def start_browser():
    with tempfile.TemporaryDirectory(prefix="lcsc-browser-", ignore_cleanup_errors=True) as folder:
        driver = subprocess.Popen(["chromedriver", "--port=0"], stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                                  text=True, env={**os.environ, "HOME": folder})
        try:
            lines = []
            for line in driver.stdout:
                lines.append(line)
                if started := re.search(r"started successfully on port (\d+)", line):
                    break
            else:
                raise RuntimeError("chromedriver ended: " + "".join(lines))
            browser = Browser(int(started[1]), folder)
            try:
                yield browser
            finally:
                browser.close()
        finally:
            driver.terminate()
            driver.wait()


def faults_of(view, scheme, found, headings):
    if found["headings"] != headings:
        yield f"expected the headings {headings}, found {found['headings']}"
    if found["broken_images"]:
        yield f"{found['broken_images']} images are broken"
    if found["width"] != view["width"] or found["scroll_width"] > view["width"]:
        yield f"expected no more than {view['width']} pixels, found {found['scroll_width']} of {found['width']}"
    if (found["page"] > found["ink"]) != (scheme == "light") or abs(found["page"] - found["ink"]) < 150:
        yield f"brightness of page {found['page']:.0f} and ink {found['ink']:.0f} do not suit {scheme}"
    if found["font_px"] < 14:
        yield f"letters of {found['font_px']} pixels"


def check_view(browser, address, view, scheme):
    browser.devtools("Emulation.setDeviceMetricsOverride", **view)
    browser.devtools("Emulation.setEmulatedMedia", features=[{"name": "prefers-color-scheme", "value": scheme}])
    browser.post("/url", {"url": address})
    return browser.post("/execute/sync", {"script": LOOK, "args": []})


def take_screenshot(browser, path):
    picture = browser.devtools("Page.captureScreenshot", format="png", captureBeyondViewport=True)
    path.write_bytes(base64.b64decode(picture["data"]))


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("page", type=pathlib.Path)
    parser.add_argument("--headings", required=True)
    parser.add_argument("--screenshots", type=pathlib.Path)
    arguments = parser.parse_args()
    for program in ("chromium", "chromedriver"):
        if shutil.which(program) is None:
            print(f"skipped: there is no {program}; launch/install installs it")
            return 77
    headings = arguments.headings.split("|")
    address = arguments.page.resolve().as_uri()
    faults = []
    with start_browser() as browser:
        browser.post("/url", {"url": "about:blank"})  # away from the browser's own first page
        browser.requests()
        for name, view, scheme in VIEWS:
            found = check_view(browser, address, view, scheme)
            wrong = list(faults_of(view, scheme, found, headings))
            wrong += [f"console: {entry['message']}" for entry in browser.log("browser")]
            asked = browser.requests()
            wrong += [f"asked for {url[:200]}" for url in asked if url != address and not url.startswith("data:")]
            if address not in asked:
                wrong.append(f"expected a record that {address} was asked for, found {asked[:5]}")
            if arguments.screenshots:
                take_screenshot(browser, arguments.screenshots / f"{name}.png")
            print(f"{name}: {len(asked)} addresses, {found['scroll_width']} pixels wide: {'; '.join(wrong) or 'sound'}")
            faults += wrong
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
