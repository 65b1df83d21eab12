"""The pages as a person uses them: a browser by Playwright, and a site that people log in to."""

from __future__ import annotations

import re
import sys
import time
from pathlib import Path

import httpx
from playwright.sync_api import Page, expect

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "interop"))
from gantry import ROOT, Archive  # noqa: E402

PASSWORD = "walnut-Trombone-47-glacier"
AXE = ROOT / "web" / "app" / "node_modules" / "axe-core" / "axe.min.js"
SET_UP = re.compile(r"#/set-up/(\w+)")
# What an interaction may take on a busy machine.
expect.set_options(timeout=20_000)


class Site(Archive):
    """An archive with logins."""

    def __init__(self, data: Path, *, config: str = "", **options) -> None:
        # All tests come from one address.
        limits = "[http]\nlogins_per_minute_per_address = 0\n"
        super().__init__(data, demo=False, config=limits + config, **options)

    def set_up_secret(self) -> str:
        """The secret of the link that was printed."""
        import os

        deadline = time.monotonic() + 20
        os.set_blocking(self.process.stdout.fileno(), False)
        while time.monotonic() < deadline:
            found = SET_UP.search(self.greeting)
            if found and "works once" in self.greeting:
                return found[1]
            self.greeting += (self.process.stdout.read() or b"").decode()
            time.sleep(0.05)
        raise AssertionError(f"no link in {self.greeting!r}")

    def url(self, page: str = "/") -> str:
        """A page's address. Passkeys are bound to names, so the host has one."""
        return f"{self.http.replace('127.0.0.1', 'localhost')}/#{page}"

    def administrator(self, login: str = "root") -> "Api":
        """Sets the archive up without a browser."""
        api = Api(base_url=self.http, timeout=60)
        told = {"secret": self.set_up_secret(), "login": login, "name": "Ada Root", "password": PASSWORD}
        api.keep(api.post("/api/set-up", json=told))
        return api


class Api(httpx.Client):
    """Keeps the session's cookie, and shows with every change what belongs to it."""

    def keep(self, answer: httpx.Response) -> None:
        assert answer.status_code == 200, answer.text
        self.headers["X-CSRF-Token"] = answer.json()["csrf_token"]

    def add(self, login: str, *roles: str, name: str = "") -> dict:
        """Somebody with the password of all tests."""
        answer = self.post("/api/people", json={"login": login, "name": name, "roles": roles})
        assert answer.status_code == 201, answer.text
        person = answer.json()["person"]
        link = self.post(f"/api/people/{person['id']}/password-link").json()
        used = self.post("/api/password-link", json={"secret": link["secret"], "password": PASSWORD})
        assert used.status_code == 200, used.text
        return person


def log_in(page: Page, site: Site, login: str, password: str = PASSWORD, at: str = "/") -> None:
    """Types login and password, as somebody who opened the page `at` does."""
    page.goto(site.url(at))
    page.get_by_label("Login").fill(login)
    page.get_by_label("Password").fill(password)
    page.get_by_role("button", name="Log in").click()


def is_in(page: Page) -> None:
    expect(page.get_by_role("button", name="Log out")).to_be_visible()


def findings(page: Page) -> list[str]:
    """What axe finds that keeps people from using the page."""
    page.evaluate(AXE.read_text())
    violations = page.evaluate("axe.run(document, {resultTypes: ['violations']}).then(result => result.violations)")
    return [
        f"{one['id']}: {node['target']} {node.get('failureSummary', '')[:200]}"
        for one in violations
        if one["impact"] in ("serious", "critical")
        for node in one["nodes"]
    ]


def too_wide(page: Page) -> bool:
    return page.evaluate("document.documentElement.scrollWidth > document.documentElement.clientWidth + 1")
