"""The plugins of docs/plugins.md, taken from there: what is shown to authors is what is tested."""

from __future__ import annotations

import re
from pathlib import Path

from conftest import ROOT

FILE = re.compile(r"^`(plugins/\S+)`\n\n```\w+\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def write_plugins(root: Path) -> dict[str, str]:
    """Write each file that the page shows below ``root``; return path -> text."""
    shown = dict(FILE.findall((ROOT / "docs" / "plugins.md").read_text(encoding="utf-8")))
    for path, text in shown.items():
        file = root / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text, encoding="utf-8")
    return shown
