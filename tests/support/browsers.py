"""A real browser, headless, as tests drive it."""

import shutil
import subprocess
from pathlib import Path

CHROMIUM = shutil.which("chromium")
FLAGS = ["--headless", "--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking"]
FLAGS += ["--disable-component-update", "--disable-sync", "--hide-scrollbars", "--enable-logging=stderr"]


def browse(
    file: Path, folder: Path, *flags: str, width: int = 1366, address: str = ""
) -> subprocess.CompletedProcess[str]:
    """Open a page, with a profile of its own in the folder. address: what comes after its # in the address."""
    command = [str(CHROMIUM), *FLAGS, f"--user-data-dir={folder / 'profile'}", f"--window-size={width},768", *flags]
    place = file.as_uri() + (f"#{address}" if address else "")
    return subprocess.run([*command, place], capture_output=True, text=True, timeout=120, check=True)


def console(done: subprocess.CompletedProcess[str]) -> list[str]:
    """What the page wrote to its console."""
    return [line for line in done.stderr.splitlines() if ":CONSOLE" in line]
