"""The study of linear convolutional networks against the theory's own descent; its committed record; its figures."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch

from paper_figures import lcn_function_space, lcn_outcomes
from paper_figures.tools import style
from studies.analyses import lcn
from studies.analyses.lcn import ARCHITECTURES, OUTCOMES, Config, Optimizer, Share, compose_all, study, train
from theory.lcn import Training, compose, gradient_descent, real_count

RECORD = Path(__file__).parents[3] / "studies" / "records" / "lcn.json"
SMALL = Config(targets=3, starts=2, steps=1500)
SGD, LASSO = Optimizer("SGD"), Optimizer("β-LASSO", l1=0.3, beta=0.5)


@pytest.mark.parametrize("architecture", ARCHITECTURES, ids=str)
def test_batched_composition_and_training_against_the_theory(architecture) -> None:
    sizes, strides = architecture.filter_sizes, architecture.strides
    rng = np.random.default_rng(0)
    filters = [torch.from_numpy(rng.normal(size=(2, k))) for k in sizes]
    composed = compose_all(filters, strides)
    target = torch.from_numpy(rng.normal(size=composed.shape))
    config, optimizer = Config(steps=20, learning_rate=0.01), Optimizer("L1", l1=0.1)
    ends = train(filters, target, strides, optimizer, config)
    for net in range(2):
        start = [w[net].numpy() for w in filters]
        np.testing.assert_allclose(composed[net], compose(start, strides), rtol=1e-13)
        training = Training(target[net].numpy(), strides, l1=0.1)
        last = gradient_descent(start, training, config.learning_rate, config.steps)[-1]
        for found, expected in zip(ends, last, strict=True):
            np.testing.assert_allclose(found[net], expected, atol=1e-12)


def test_at_stride_one_only_spurious_ends_share_roots() -> None:
    (result,) = study(ARCHITECTURES[0], Config(targets=6, starts=3, steps=4000), [SGD])
    shares = dict(zip(OUTCOMES, (s.mean for s in result.outcomes), strict=True))
    assert sum(shares.values()) == pytest.approx(1, abs=1e-3)  # rounded to four digits
    assert shares["pure"] == 0
    assert shares["spurious"] > 0
    assert result.shared_at_spurious == 1
    assert result.shared_elsewhere is not None
    assert result.shared_elsewhere < 0.2  # negative control


def test_at_stride_three_every_end_is_optimal_and_lasso_loses_filters() -> None:
    plain, lasso = study(ARCHITECTURES[2], SMALL, [SGD, LASSO])
    assert plain.outcomes[0] == Share(1.0, 0.0)
    assert plain.at_spurious.mean == lasso.at_spurious.mean == 0
    assert plain.zeros == 0
    assert lasso.zeros > 0.2
    assert lasso.outcomes[OUTCOMES.index("collapsed")].mean == pytest.approx(lasso.lost_filters.mean)
    assert lasso.optimal_change.mean == pytest.approx(lasso.outcomes[0].mean - 1, abs=1e-4)


def test_shares_are_means_over_targets() -> None:
    runs = np.array([[1, 1], [1, 0], [0, 0]])
    assert Share.of(runs) == Share(0.5, round(np.std([1, 0.5, 0], ddof=1) / np.sqrt(3), 4))
    assert Share.of(runs, among=np.ones_like(runs)) == Share.of(runs)
    assert Share.of(runs, among=np.array([[1, 1], [1, 0], [0, 0]])) == Share(1.0, 0.0)
    assert Share.of(runs, among=np.zeros_like(runs)) == Share(0.0, 0.0)


def test_the_command_writes_a_record_that_the_figure_reads(tmp_path, monkeypatch, capsys) -> None:
    monkeypatch.setattr(lcn, "ARCHITECTURES", ARCHITECTURES[2:3])
    record = tmp_path / "lcn.json"
    lcn.main(["--targets", "2", "--steps", "50", "--record", str(record)])
    assert capsys.readouterr().out.count("optimal") == len(lcn.OPTIMIZERS)
    lcn_outcomes.draw(tmp_path, record)
    assert all((tmp_path / f"lcn_outcomes.{kind}").stat().st_size for kind in ("pdf", "png", "csv"))


def test_the_committed_record_says_what_the_theory_predicts() -> None:
    record = json.loads(RECORD.read_text(encoding="utf-8"))
    rows = lcn_outcomes.table(record)
    assert len(rows) == len(ARCHITECTURES) * len(lcn.OPTIMIZERS)
    assert {row["targets"] for row in rows} == {Config.targets}
    for row in rows:
        *inner, _ = row["strides"]
        if min(inner) > 1:
            assert row["at_spurious"] == 0
            assert row["shared_elsewhere"] == 0
        else:
            assert row["at_spurious"] > 0
            assert row["shared_at_spurious"] > 0.95 > 0.1 > row["shared_elsewhere"]
        if max(inner) == 1:
            assert row["pure"] == 0
        if (row["filter_sizes"], row["strides"]) == ((3, 2), (3, 1)):
            assert row["optimal_if_alive"] == 1


def test_the_committed_record_is_drawn(tmp_path) -> None:
    lcn_outcomes.draw(tmp_path)
    assert len((tmp_path / "lcn_outcomes.csv").read_text().splitlines()) == 41


def test_the_counts_in_the_picture_are_exact() -> None:
    rng = np.random.default_rng(0)
    points = rng.uniform(-1.4, 1.4, size=(30, 2)).tolist() + rng.uniform(-0.3, 0.3, size=(20, 2)).tolist()
    seen = set()
    for x, y in points:
        count = int(lcn_function_space.counts(np.array(x), np.array(y)))
        assert real_count(((1 + x) / 2, y, (1 - x) / 2), (2, 2)) == count
        seen.add(count)
    assert seen == {2, 4}


@pytest.mark.slow
def test_the_function_space_is_drawn(tmp_path) -> None:
    lcn_function_space.draw(tmp_path)
    rows = (tmp_path / "lcn_function_space.csv").read_text().splitlines()
    assert {row[0] for row in rows[1:]} == {"a", "b", "c"}
    assert {row.split(",")[2] for row in rows[1:] if row[0] == "b"} == {"0", "1"}


def test_a_figure_without_numbers_is_not_kept(tmp_path) -> None:
    style.apply()
    figure = style.Figure()
    with pytest.raises(ValueError, match=r"^rows must not be empty"):
        style.save(figure, "nothing", [], tmp_path)
    assert not list(tmp_path.iterdir())
