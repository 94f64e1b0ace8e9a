"""Surface: a study run by the command, and MLflow's real pages in Chromium: what a user sees without a click."""

import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from _browser import CHROMIUM, DRIVER, Browser, call_lcfs, pages
from _ports import free_port

from lcfs import tracking

pytest.importorskip("mlflow")
pytest.importorskip("selenium")
pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not (CHROMIUM and DRIVER), reason="needs chromium and chromedriver"),
    pytest.mark.filterwarnings("ignore"),  # mlflow's and selenium's own
]
STUDY = "training_fully_connected"


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("study")
    done = subprocess.run(call_lcfs("study", STUDY, "--jobs", "2"), cwd=folder, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert f"lcfs ui runs/studies/smoke --study {STUDY}" in done.stdout
    return folder / "runs" / "studies" / "smoke"


@pytest.fixture(scope="module")
def address(runs: Path) -> Iterator[str]:
    with pages(str(runs), "--study", STUDY, "--port", str(free_port())) as found:
        yield found


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    found = Browser(tmp_path_factory.mktemp("profile"))
    yield found
    found.quit()


def cells(runs: Path) -> dict[str, Any]:
    """MLflow's runs of the study's cells by name."""
    from mlflow import MlflowClient

    client = MlflowClient(tracking_uri=tracking.default_uri(runs))
    experiment = client.get_experiment_by_name(f"{STUDY} (smoke)")
    found = client.search_runs([experiment.experiment_id], "tags.`lcfs.kind` = 'cell'")
    return {run.info.run_name: run for run in found}


def test_the_experiment_is_listed(address: str, browser: Browser) -> None:
    browser.open(f"{address.split('/#')[0]}/#/experiments", f"{STUDY} (")


def test_the_table_opens_on_the_study(address: str, runs: Path, browser: Browser) -> None:
    found = cells(runs)
    browser.open(address, "14 matching runs")
    browser.close_assistant()
    text = browser.read(*found, "final/test_accuracy", "optimizer.beta")
    assert "Claim: S-FC: SGD < β = 0" in text
    assert "launch of" not in text
    assert "train/loss" not in text, "only what the view names is a column"
    order = sorted(found, key=lambda name: -found[name].data.metrics["final/test_accuracy"])
    assert text.index(order[0]) < text.index(order[-1]), "best first"


def test_charts_come_without_a_click(address: str, browser: Browser) -> None:
    browser.open(f"{address}&compareRunsMode=CHART", "Parallel Coordinates", "the study", "S-FC, β = 10")


def test_two_runs_are_compared(address: str, runs: Path, browser: Browser) -> None:
    found = cells(runs)
    chosen = [found[f"S-FC, β = {beta}, seed 0"] for beta in ("0", "10")]
    browser.open(address, "14 matching runs", *(run.info.run_name for run in chosen))
    browser.close_assistant()
    for run in chosen:
        browser.click(f".ag-row[row-id='{run.info.run_id}'] .ag-checkbox-input")
    browser.click("//button[normalize-space()='Compare']")
    lines = browser.read("Comparing 2 Runs", "optimizer.beta", "final/test_accuracy").splitlines()
    assert any(line.split() in (["optimizer.beta", "0", "10"], ["optimizer.beta", "10", "0"]) for line in lines)
    for run in chosen:
        assert f"{run.data.metrics['final/test_accuracy']:.3f}" in lines


def test_filters_are_on_the_page_of_a_run(address: str, runs: Path, browser: Browser) -> None:
    run = cells(runs)["S-FC, β = 10, seed 0"]
    page = f"{address.split('/#')[0]}/#/experiments/{run.info.experiment_id}/runs/{run.info.run_id}"
    browser.open(f"{page}/artifacts", "filters.png", "config.json", "summary.json")
    text = browser.open(page, "optimizer.beta", "digits, training")
    assert "final/test_accuracy" in text
