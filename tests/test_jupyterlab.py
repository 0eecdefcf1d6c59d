"""Run All in JupyterLab and papermill on the command line give the same table."""

from __future__ import annotations

import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import nbformat
import pytest
from conftest import ROOT, TINY

if TYPE_CHECKING:
    from playwright.sync_api import Page

BROWSERS = ("chromium", "chromium-browser", "google-chrome")
FLAGS = ("no-sandbox", "disable-gpu", "disable-quic", "no-first-run")
FLAGS += ("disable-background-networking", "disable-component-update", "disable-sync")
LAB = ("--no-browser", "--allow-root", "--ip=127.0.0.1", "--port-retries=0", "--LabApp.extension_manager=readonly")
OWN = ("JUPYTER_CONFIG", "JUPYTER_DATA", "JUPYTER_RUNTIME", "JUPYTERLAB_SETTINGS", "JUPYTERLAB_WORKSPACES")
TOKEN = "tests-only"
NOTEBOOK = ROOT / "notebooks" / "30_compare.ipynb"
START, RUN_ALL, STOP = 90, 180, 30  # seconds at most


class Session(NamedTuple):
    """What is left when somebody has pressed Run All, looked at the page, and saved."""

    notebook: nbformat.NotebookNode
    tables: int  # of these three, how many the page shows
    formulas: int
    popups: int
    cut: list[str]  # figures that are wider than their place


@pytest.fixture(scope="module")
def browser() -> str:
    pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    found = next(filter(None, map(shutil.which, BROWSERS)), None)
    if found is None:
        pytest.skip(f"no browser to drive JupyterLab with: none of {', '.join(BROWSERS)} is installed")
    return found


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("jupyterlab")


@pytest.fixture(scope="module")
def lab(browser: str, folder: Path) -> Session:
    """The notebook with its parameters edited, after Run All in a real JupyterLab."""
    (folder / "work").mkdir()
    notebook = nbformat.read(NOTEBOOK, as_version=4)
    (parameters,) = [c for c in notebook.cells if "parameters" in c.metadata.get("tags", [])]
    assert "overrides = []" in parameters.source
    parameters.source = parameters.source.replace("overrides = []", f"overrides = {overrides(folder)!r}")
    nbformat.write(notebook, folder / "work" / NOTEBOOK.name)
    with server(folder) as address, page_in(browser) as page:
        return run_all(page, f"{address}/lab/tree/{NOTEBOOK.name}?token={TOKEN}", folder)


def overrides(folder: Path) -> list[str]:
    return [*TINY, "seed=0,1", f"outputs={folder / 'outputs'}"]


@contextmanager
def server(folder: Path) -> Iterator[str]:
    """Start a JupyterLab that shows ``folder / "work"`` and keeps its own files in ``folder`` too."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        address = f"http://127.0.0.1:{free.getsockname()[1]}"
    own = {f"{name}_DIR": str(folder / name) for name in OWN} | {"IPYTHONDIR": str(folder / "IPYTHON")}
    news = folder / "JUPYTERLAB_SETTINGS/@jupyterlab/apputils-extension/notification.jupyterlab-settings"
    news.parent.mkdir(parents=True)
    news.write_text('{"fetchNews": "false"}')
    command = [sys.executable, "-m", "jupyter", "lab", *LAB, f"--ServerApp.root_dir={folder / 'work'}"]
    command += [f"--port={address.rpartition(':')[2]}", f"--IdentityProvider.token={TOKEN}"]
    log = folder / "server.log"
    with log.open("w") as out:
        process = subprocess.Popen(command, env=os.environ | own, stdout=out, stderr=out, start_new_session=True)
    try:
        wait_for(f"{address}/api/status?token={TOKEN}", process, log)
        yield address
    finally:
        stop(process)


def wait_for(url: str, process: subprocess.Popen[bytes], log: Path) -> None:
    deadline = time.monotonic() + START
    while time.monotonic() < deadline and process.poll() is None:
        try:
            with urllib.request.urlopen(url, timeout=5):
                return
        except (urllib.error.URLError, TimeoutError):
            time.sleep(0.2)
    pytest.fail(f"JupyterLab did not start:\n{log.read_text()}")


def stop(process: subprocess.Popen[bytes]) -> None:
    """Let the server end its kernels and itself, and kill its process group where it does not."""
    process.terminate()
    try:
        process.wait(STOP)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()


@contextmanager
def page_in(browser: str) -> Iterator[Page]:
    """Open a page high enough to show the whole report."""
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        flags = [f"--{flag}" for flag in FLAGS]
        with playwright.chromium.launch(executable_path=browser, args=flags) as started:
            page = started.new_page(viewport={"width": 1300, "height": 4800})
            page.set_default_timeout(1000 * START)
            yield page


def run_all(page: Page, url: str, folder: Path) -> Session:
    page.goto(url)
    page.get_by_text("Python 3 (ipykernel) | Idle").wait_for()  # in the status bar: what is chosen earlier is dropped
    choose(page, "Run", "Run All Cells")
    wait_for_cells(page)
    page.wait_for_timeout(2000)  # for the last formulas to be set
    page.screenshot(path=folder / "lab.png", full_page=True)
    with page.expect_response(lambda r: r.request.method == "PUT" and f"contents/{NOTEBOOK.name}" in r.url):
        choose(page, "File", "Save Notebook")
    looked_for = ("table.lstmlab", "mjx-container", ".jp-Dialog, .Toastify__toast")
    shown = [page.locator(css).filter(visible=True).count() for css in looked_for]
    cut = page.locator(".jp-RenderedSVG").evaluate_all(
        "all => all.filter(e => e.scrollWidth > e.clientWidth).map(String)"
    )
    return Session(nbformat.read(folder / "work" / NOTEBOOK.name, as_version=4), *shown, cut)


def choose(page: Page, menu: str, entry: str) -> None:
    page.locator("#jp-MainMenu").get_by_text(menu, exact=True).click()
    page.locator(".lm-Menu").get_by_text(entry, exact=True).click()


def wait_for_cells(page: Page) -> None:
    """Wait until the first cell has its number and no later one waits: all are done, or one has failed."""
    deadline = time.monotonic() + RUN_ALL
    while time.monotonic() < deadline:
        prompts = page.locator(".jp-CodeCell .jp-InputPrompt").all_text_contents()
        if "1" in prompts[0] and not any("*" in p for p in prompts):
            return
        page.wait_for_timeout(500)
    pytest.fail(f"after {RUN_ALL} s the cells' prompts are {prompts}")


def outputs(notebook: nbformat.NotebookNode) -> list[nbformat.NotebookNode]:
    return [o for c in notebook.cells if c.cell_type == "code" for o in c.outputs]


def table(notebook: nbformat.NotebookNode) -> str:
    html = "".join("".join(o.data.get("text/html", "")) for o in outputs(notebook) if "data" in o)
    (found,) = re.findall(r"<table class='lstmlab'>.*?</table>", html, re.DOTALL)
    return found


def written(folder: Path) -> dict[Path, int]:
    return {p: p.stat().st_mtime_ns for p in (folder / "outputs" / "runs").rglob("*")}


def test_run_all_ends_without_errors_warnings_and_dialogs(lab: Session) -> None:
    assert [o for o in outputs(lab.notebook) if o.output_type in ("error", "stream")] == []
    assert all(c.execution_count for c in lab.notebook.cells if c.cell_type == "code")
    assert lab.popups == 0


def test_what_remains_of_a_study_s_progress_is_one_line(lab: Session) -> None:
    shown = [o.data for o in outputs(lab.notebook) if "data" in o]
    assert not [data for data in shown if "application/vnd.jupyter.widget-view+json" in data]
    (line,) = [data["text/plain"] for data in shown if "runs done" in data["text/plain"]]
    assert re.fullmatch(r"variants: all 6 runs done; 0:\d\d", line)


def test_jupyterlab_keeps_the_figures_as_vector_graphics(lab: Session) -> None:
    assert sum("image/svg+xml" in o.get("data", {}) for o in outputs(lab.notebook)) == 4
    assert lab.cut == [], "figures that Lab cuts off"


def test_the_page_shows_the_table_and_the_equations(lab: Session) -> None:
    assert lab.tables == 1
    assert lab.formulas >= 3  # one block per cell


def test_papermill_gives_the_same_table(lab: Session, folder: Path) -> None:
    """The command line reads the runs that JupyterLab trained, trains none again, and shows the same."""
    before = written(folder)
    assert before
    papermill = [Path(sys.executable).with_name("papermill"), NOTEBOOK, folder / "out.ipynb"]
    parameters = ["-p", "study", "variants", "-p", "overrides", " ".join(overrides(folder))]
    subprocess.run([*papermill, *parameters], cwd=ROOT, check=True, timeout=RUN_ALL)
    assert table(nbformat.read(folder / "out.ipynb", as_version=4)) == table(lab.notebook)
    assert written(folder) == before
