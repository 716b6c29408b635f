"""The page that listens, as its tests open it and ask it."""

import base64
import json
from pathlib import Path

from conftest import PATIENCE
from playwright.sync_api import Browser, Page, expect


def open_page(chromium: Browser, address: str, width: int = 1000, **options) -> Page:
    context = chromium.new_context(viewport={"width": width, "height": 1000}, **options)
    page = context.new_page()
    page.set_default_timeout(PATIENCE)
    page.goto(address)
    expect(page.get_by_label("Choose audio files")).to_be_attached(timeout=PATIENCE)
    return page


def answer(page: Page, *files: Path) -> list[dict]:
    """All that the page has answered since it was opened, as it saves it."""
    before = page.locator("section, .persona-error").count()
    page.get_by_label("Choose audio files").set_input_files([str(file) for file in files])
    page.get_by_role("button", name="Make predictions").click()
    answers = page.locator("section, .persona-error")
    expect(answers).to_have_count(before + len(files), timeout=PATIENCE)
    expect(page.locator(".persona-status")).to_contain_text("Done in", timeout=PATIENCE)
    return saved(page)


def saved(page: Page) -> list[dict]:
    with page.expect_download() as started:
        page.get_by_text("Save as JSON").click()
    return json.loads(started.value.path().read_text())


def recorded(page: Page, folder: Path) -> Path:
    """What was recorded last, as a file."""
    content = page.evaluate(
        """async () => {
            const { src } = document.querySelector("audio");
            const bytes = new Uint8Array(await (await fetch(src)).arrayBuffer());
            return btoa(Array.from(bytes, (byte) => String.fromCharCode(byte)).join(""));
        }"""
    )
    file = folder / "recording.wav"
    file.write_bytes(base64.b64decode(content))
    return file
