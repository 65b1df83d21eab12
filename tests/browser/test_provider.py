"""Logging in at a real identity provider, which is another site for the browser."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
from pathlib import Path

import pytest
from conftest import CHROMIUM
from pages import ROOT, Site, is_in
from playwright.sync_api import expect, sync_playwright


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    """A site whose people log in at a provider; it is `localhost`, the provider is `127.0.0.1`."""
    folder = Path(os.environ.get("GANTRY_TOOLS", Path.home() / ".cache" / "gantry-tools")) / "oidc-provider"
    if not (folder / "node_modules" / "oidc-provider").is_dir():
        if shutil.which("npm") is None:
            pytest.skip("npm is not there")
        folder.mkdir(parents=True, exist_ok=True)
        done = subprocess.run(["npm", "install", "--no-audit", "--no-fund", "--prefix", str(folder), "oidc-provider@9"], capture_output=True, text=True, timeout=180)
        if done.returncode != 0:
            pytest.skip(f"oidc-provider cannot be installed: {done.stderr[-300:]}")
    with socket.create_server(("127.0.0.1", 0)) as free, socket.create_server(("127.0.0.1", 0)) as other:
        port, web = free.getsockname()[1], other.getsockname()[1]
    redirect = f"http://localhost:{web}/api/providers/house/callback"
    program = ROOT / "tests" / "interop" / "oidc_provider.mjs"
    provider = subprocess.Popen(["node", str(program), str(port), redirect], cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
    try:
        assert b"listening" in provider.stdout.readline()
        site = Site(tmp_path_factory.mktemp("provided") / "archive", config=f"""
[[identity.provider]]
name = "house"
title = "House account"
issuer = "http://127.0.0.1:{port}"
client_id = "gantry"
client_secret = "a secret: of + the test"
[identity.provider.roles]
radiology = "radiologist"
""")
        site.http = f"http://127.0.0.1:{web}"
        site.start()
        site.administrator()
        yield site
        site.close()
    finally:
        provider.terminate()
        provider.wait(20)


def test_people_log_in_at_the_provider(site, tmp_path):
    if CHROMIUM is None:
        pytest.skip("no Chromium")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox", "--disable-dev-shm-usage"])
        page = browser.new_context().new_page()
        page.goto(site.url())
        page.get_by_role("link", name="Log in with House account").click()
        page.locator("input[name=login]").fill("olga")
        page.locator("input[name=password]").fill("any")
        page.get_by_role("button", name="Sign-in").click()
        page.get_by_role("button", name="Continue").click()
        is_in(page)
        assert page.url.startswith(site.url("").split("#")[0])
        page.get_by_role("link", name="Person olga").click()
        expect(page.get_by_text("role radiologist")).to_be_visible()
        expect(page.get_by_text("Your account has no password here")).to_be_visible()
        page.screenshot(path=tmp_path / "provider.png")
        # The session is one like others.
        page.reload()
        is_in(page)
        browser.close()
