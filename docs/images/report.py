"""Make ``docs/images/report.png``: the report that ``examples/09_why.py`` writes, in a browser.

Run: ``python docs/images/report.py chromium``, with the name of a Chromium that can be run. Needs
Plotly and Pillow.
"""

from pathlib import Path
import subprocess
import sys
import tempfile

from PIL import Image


_HERE = Path(__file__).parent
_EXAMPLE = _HERE.parents[1] / "examples" / "09_why.py"
_WIDTH, _HEIGHT = 1280, 1650


def main() -> None:
    """Runs the example, shows its page, and keeps the picture with few colours."""
    with tempfile.TemporaryDirectory() as name:
        page, picture = Path(name, "report.html"), Path(name, "report.png")
        subprocess.run([sys.executable, str(_EXAMPLE), str(page)], check=True)
        subprocess.run(
            [
                sys.argv[1],
                *("--headless", "--no-sandbox", "--disable-gpu", "--hide-scrollbars"),
                *("--no-first-run", "--disable-background-networking", "--disable-quic"),
                # Plots are drawn by a script.
                "--virtual-time-budget=8000",
                f"--user-data-dir={name}/profile",
                f"--window-size={_WIDTH},{_HEIGHT}",
                f"--screenshot={picture}",
                page.as_uri(),
            ],
            check=True,
        )
        with Image.open(picture) as taken:
            small = taken.convert("RGB").quantize(96, dither=Image.Dither.NONE)
            small.save(_HERE / "report.png", optimize=True)


if __name__ == "__main__":
    main()
