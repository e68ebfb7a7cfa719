"""`python -m tools.page_picture` takes docs/page.png: the server's page, in Chromium, over the preferred pack.

The times in it are those of the machine at that moment: take it on one that does nothing else.
"""

from __future__ import annotations

import os
import shutil
import threading
from pathlib import Path
from tempfile import TemporaryDirectory

from dlp_local.core.settings import load_settings

PICTURE = Path(__file__).parent.parent / "docs" / "page.png"
WARMING = ("every weekday at nine", "find all pdf files")
QUESTIONS = (
    "a cron job that deletes all files in /tmp every night",
    "fix this JSON: {name: 'Ana', tags: ['a', 'b',]}, then play some jazz by Miles Davis on spotify",
)
SIZE = {"width": 900, "height": 700}
PATIENCE = 90_000
"""Milliseconds for an answer."""


def take(url: str) -> None:
    """Asks the questions on the page at an address, unfolds the first receipt, and takes the picture."""
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=["--no-sandbox"])
        page = chromium.new_page(viewport=SIZE)  # type: ignore[arg-type]
        page.goto(f"{url}/")
        page.wait_for_selector("#examples button")
        for questions in (WARMING, QUESTIONS):
            page.reload()
            page.click("#new")
            page.reload()
            for question in questions:
                page.fill("#message", question)
                page.press("#message", "Enter")
                page.wait_for_selector("#send:visible", timeout=PATIENCE)
        page.locator(".receipt summary").first.click()
        page.locator("main").evaluate("main => { main.scrollTop = 0; }")
        page.screenshot(path=PICTURE)
        chromium.close()


def main() -> None:
    """Serves the pack on a free port, and takes the picture."""
    with TemporaryDirectory() as folder:
        os.environ["DLP_LOCAL_DATA"] = folder
        from dlp_local.opening import open_assistant
        from dlp_local.server.serving import HttpServer, listen, url_of

        settings = load_settings(pack="smollm2", server={"port": 0})
        with listen(settings.server) as listening, open_assistant(settings) as assistant:
            server = HttpServer(assistant, settings)
            thread = threading.Thread(target=server.run, args=([listening],), daemon=True)
            thread.start()
            take(url_of(listening))
            server.should_exit = True
            thread.join()


if __name__ == "__main__":
    main()
