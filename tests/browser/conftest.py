"""A browser without a screen, driven over its debugging protocol, and an archive with something in it."""

from __future__ import annotations

import itertools
import json
import shutil
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

import pytest
import websocket

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "interop"))
from gantry import Archive  # noqa: E402
from sources import phantom_files  # noqa: E402

CHROMIUM = shutil.which("chromium") or shutil.which("google-chrome") or shutil.which("chromium-browser")


class Page:
    """One page: what it logs, what it requests, and what JavaScript in it says."""

    def __init__(self, address: str) -> None:
        self.socket = websocket.create_connection(address, timeout=30, suppress_origin=True)
        self.numbers = itertools.count(1)
        self.problems: list[str] = []
        self.requests: dict[str, str] = {}
        self.answers: list[tuple[int, str]] = []
        for domain in ("Page", "Runtime", "Log", "Network"):
            self.call(f"{domain}.enable")

    def call(self, method: str, **parameters) -> dict:
        number = next(self.numbers)
        self.socket.send(json.dumps({"id": number, "method": method, "params": parameters}))
        while True:
            message = json.loads(self.socket.recv())
            if message.get("id") == number:
                assert "error" not in message, message
                return message["result"]
            self.note(message)

    def note(self, message: dict) -> None:
        method, parameters = message.get("method"), message.get("params", {})
        if method == "Runtime.exceptionThrown":
            self.problems.append(json.dumps(parameters["exceptionDetails"])[:500])
        elif method == "Log.entryAdded" and parameters["entry"]["level"] == "error":
            self.problems.append(f"{parameters['entry']['text']} {parameters['entry'].get('url', '')}")
        elif method == "Network.requestWillBeSent":
            self.requests[parameters["requestId"]] = parameters["request"]["url"]
        elif method == "Network.responseReceived":
            self.answers.append((parameters["response"]["status"], parameters["response"]["url"]))
        elif method == "Network.loadingFailed" and not parameters.get("canceled"):
            self.problems.append(f"{self.requests.get(parameters['requestId'])} {parameters['errorText']}")

    def open(self, url: str) -> None:
        self.call("Page.navigate", url=url)
        self.wait("document.readyState === 'complete'")

    def evaluate(self, script: str):
        result = self.call("Runtime.evaluate", expression=script, returnByValue=True, awaitPromise=True)
        assert "exceptionDetails" not in result, result["exceptionDetails"]
        return result["result"].get("value")

    def wait(self, script: str, seconds: float = 20):
        deadline = time.monotonic() + seconds
        while True:
            value = self.evaluate(script)
            if value:
                return value
            assert time.monotonic() < deadline, f"{script} stayed {value!r}; problems: {self.problems}"
            time.sleep(0.1)

    def screenshot(self, file: Path) -> None:
        import base64

        file.write_bytes(base64.b64decode(self.call("Page.captureScreenshot", format="png")["data"]))


@pytest.fixture(scope="session")
def archive(tmp_path_factory):
    folder = tmp_path_factory.mktemp("browser")
    archive = Archive(folder / "archive").start()
    archive.store_files(phantom_files(folder / "phantoms"))
    yield archive
    archive.close()


@pytest.fixture(scope="session")
def browser(tmp_path_factory):
    if CHROMIUM is None:
        pytest.skip("no Chromium")
    profile = tmp_path_factory.mktemp("profile")
    process = subprocess.Popen(
        [CHROMIUM, "--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--disable-background-networking", "--no-first-run",
         "--remote-debugging-port=0", "--window-size=1400,1000", f"--user-data-dir={profile}", "about:blank"],
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    port_file = profile / "DevToolsActivePort"
    deadline = time.monotonic() + 60
    while not port_file.exists() or not port_file.read_text().strip():
        assert process.poll() is None and time.monotonic() < deadline, "Chromium does not start"
        time.sleep(0.1)
    yield int(port_file.read_text().split()[0])
    process.terminate()
    process.wait(20)


@pytest.fixture
def page(browser):
    request = urllib.request.Request(f"http://127.0.0.1:{browser}/json/new?about:blank", method="PUT")
    with urllib.request.urlopen(request, timeout=30) as answer:
        target = json.load(answer)
    page = Page(target["webSocketDebuggerUrl"])
    yield page
    page.socket.close()
    urllib.request.urlopen(f"http://127.0.0.1:{browser}/json/close/{target['id']}", timeout=30).close()
