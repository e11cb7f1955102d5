"""The CartPole example at small size: what it trains, converts and lets the Verilog do."""

from __future__ import annotations

import importlib
import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from tools import need
from torch import nn

from neurocuda_hw.ground.toolchain import find_compiler, find_make, find_verilator

pytest.importorskip("gymnasium", reason="pip install 'neurocuda_hw[control]'")

EXAMPLES = Path(__file__).resolve().parents[2] / "examples"
sys.path.insert(0, str(EXAMPLES))

import cartpole  # noqa: E402 - the examples are no package
import cartpole_control  # noqa: E402


def balancer(bias: float = 0.0) -> nn.Module:
    """A Q-network that balances for ever, by hand: it pushes to where the pole falls."""
    model = cartpole.QNetwork()
    falls = torch.tensor([0.1, 0.3, 1.0, 0.6])
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.zero_()
        for unit, sign in ((0, -1.0), (1, 1.0)):
            model[0].weight[unit] = sign * falls
            model[2].weight[unit, unit] = model[4].weight[unit, unit] = 1.0
        model[4].bias.fill_(bias)
    return model.eval()


def test_one_episode_for_each_seed_whatever_the_others_do() -> None:
    act = cartpole.greedy(balancer())
    assert cartpole.play(act, range(3)).tolist() == [500.0] * 3
    seen: list[np.ndarray] = []
    left = cartpole.play(lambda x: np.zeros(len(x), int), range(20), seen)
    assert left.sum() == sum(len(x) for x in seen)
    assert 7 < left.min() < left.max() < 12
    assert np.array_equal(left[5:9], cartpole.play(lambda x: np.zeros(len(x), int), range(5, 9)))


def test_what_both_actions_have_in_common_is_taken_off() -> None:
    x = torch.randn(50, 4)
    before = balancer(80.0)(x)
    after = cartpole_control.centred(balancer(80.0))(x)
    assert torch.equal(after.argmax(1), before.argmax(1))
    assert torch.allclose(after.sum(1), torch.zeros(50), atol=1e-5)
    assert torch.allclose(after[:, 0] - after[:, 1], before[:, 0] - before[:, 1], atol=1e-5)


@pytest.mark.slow
def test_trained_directly_it_balances_longer() -> None:
    found = cartpole.train_spiking(0, 6144, every=1)
    steps, means = zip(*found.history, strict=True)
    assert steps == (2048, 4096, 6144)[: len(steps)]
    assert max(means) > 60
    assert cartpole.play(cartpole.greedy(found.best), range(10)).mean() > 40


def test_a_missing_package_is_told(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(sys.modules, "gymnasium", None)
    monkeypatch.delitem(sys.modules, "cartpole")
    with pytest.raises(SystemExit) as ended:
        importlib.reload(cartpole_control)
    assert ended.value.code == 3
    told = capsys.readouterr().err
    assert told.startswith("cartpole_control: the package 'gymnasium' is missing; pip install '")


@pytest.mark.slow
def test_the_verilog_balances(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """From weights that are there to the table; one wrong bit of a weight and it exits with 1."""
    need(find_verilator(), find_compiler(), find_make())
    states: dict[str, Any] = {"early": None, "history": [(16, 500.0)]}
    torch.save({**states, "best": balancer().state_dict()}, tmp_path / "dqn_3_2048.pt")
    words = ["--seeds", "3", "--dqn-steps", "2048", "--direct-steps", "2048", "--episodes", "1"]
    words += ["--out", str(tmp_path)]
    monkeypatch.setattr(sys, "argv", ["cartpole_control.py", *words, "--json"])
    assert cartpole_control.main() == 0
    told = json.loads(capsys.readouterr().out)
    assert told["converted"]["ann_475"] == 1
    for kind in ("dqn", "direct"):
        figures = told["by_seed"]["3"][kind]
        assert len(figures["loop"]["returns"]) == 1
        assert sum(figures["loop"]["returns"]) == figures["loop"]["actions"]
    assert told["loop"]["episodes"] == 2
    assert told["loop"]["actions"] > 20
    assert told["loop"]["actions_differ"] == told["loop"]["logits_differ"] == 0
    assert told["by_seed"]["3"]["dqn"]["best"]["unequal"] == 0
    assert 0 < told["by_seed"]["3"]["dqn"]["loop"]["cycles"] < 2000
    assert (tmp_path / "direct_3_2048.pt").exists()
    assert "<svg" in (tmp_path / "balance.svg").read_text()
    sent = cartpole_control.Live.send

    def wrong(hardware: Any, words: np.ndarray) -> Any:
        return sent(hardware, words ^ np.uint64(1 << 8))

    monkeypatch.setattr(cartpole_control.Live, "send", wrong)
    monkeypatch.setattr(sys, "argv", ["cartpole_control.py", *words])
    assert cartpole_control.main() == 1
    assert " 0 differ from the golden model's" not in capsys.readouterr().out
