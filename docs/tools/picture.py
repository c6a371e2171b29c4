"""Script that takes the picture of README: the upper part of a fit's report, as a browser shows it.

    python -m docs.tools.picture RUN [--out FILE] [--height PIXELS]

It needs playwright, and Debian's chromium or Chrome.
"""

from __future__ import annotations

import argparse
import shutil
from pathlib import Path

from docs.tools.blocks import DOCS

__all__ = ["BROWSERS", "main", "take_picture"]

BROWSERS = ("chromium", "chromium-browser", "google-chrome")
_WIDTH = 1200


def take_picture(run: Path, file: Path, height: int = 1330) -> None:
    """Write a PNG of the report of a run, 1200 pixels wide, from its top on.

    Raises:
        SystemExit: there is no report, or no browser.
    """
    from playwright.sync_api import sync_playwright

    program = next(filter(None, map(shutil.which, BROWSERS)), None)
    report = run.resolve() / "report.html"
    if program is None or not report.exists():
        raise SystemExit(f"{report}: no such file" if program else f"no browser: install one of {', '.join(BROWSERS)}")
    with sync_playwright() as started:
        browser = started.chromium.launch(executable_path=program, args=["--no-sandbox", "--disable-gpu"])
        page = browser.new_page(viewport={"width": _WIDTH, "height": height}, color_scheme="light")
        page.goto(report.as_uri())
        page.locator(".live .main-svg").first.wait_for()
        page.screenshot(path=file)
        browser.close()


def main() -> None:
    """The command."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("run", type=Path, metavar="RUN", help="the folder of a finished fit")
    parser.add_argument("--out", type=Path, default=DOCS / "images" / "fit-report.png", metavar="FILE")
    parser.add_argument("--height", type=int, default=1330, metavar="PIXELS")
    options = parser.parse_args()
    take_picture(options.run, options.out, options.height)


if __name__ == "__main__":
    main()
