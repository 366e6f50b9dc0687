"""The hand-over to workers of several GPUs, without any: what upstream writes for them, in a fresh process."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from ultralytics.utils.dist import ddp_cleanup, generate_ddp_command

from tests.yolo.runs import trainer_for

REG = {"preset": "reg_v1", "focal": {"gamma": 1.25}, "alpha": {"scheme": "balanced", "temper": 0.75}}


@pytest.mark.slow
def test_worker_rebuilds_our_trainer_with_our_loss(rectangles: Path, tmp_path: Path) -> None:
    trainer = trainer_for(rectangles, tmp_path / "run", REG)
    assert (tmp_path / "run" / "data.yaml").is_file()
    _, file = generate_ddp_command(trainer)
    try:
        # Upstream deletes the run directory before it spawns workers.
        assert not (tmp_path / "run").exists()
        source = Path(file).read_text()
        assert "trainer.train()" in source
        check = source.replace(
            "trainer.train()",
            """trainer._setup_train()
    from reg_yolo.yolo.criterion.detection import RegDetectionLoss
    criterion = trainer.model.criterion
    assert type(criterion) is RegDetectionLoss, type(criterion)
    assert trainer.ema.ema.criterion is criterion
    print("GAMMA", criterion.settings.focal.gamma, "TEMPER", criterion.settings.alpha.temper)
    print("WEIGHTS", criterion.class_weights_list())""",
        )
        script = tmp_path / "worker.py"
        script.write_text(check)
        done = subprocess.run([sys.executable, str(script)], capture_output=True, text=True, cwd=tmp_path, check=False)
    finally:
        ddp_cleanup(trainer, file)
    assert "GAMMA 1.25 TEMPER 0.75" in done.stdout, done.stderr
    written = yaml.safe_load((tmp_path / "run" / "reg.yaml").read_text())
    assert written["reg"]["focal"]["gamma"] == 1.25
    assert (tmp_path / "run" / "data.yaml").is_file()


def test_settings_travel_in_the_class_and_not_in_the_arguments(rectangles: Path, tmp_path: Path) -> None:
    trainer = trainer_for(rectangles, tmp_path / "run", REG)
    assert type(trainer).settings["reg"]["focal"]["gamma"] == 1.25
    assert not [key for key in vars(trainer.args) if key in {"reg", "preset", "alpha", "focal", "spatial"}]


def test_two_settings_do_not_mix(rectangles: Path, tmp_path: Path) -> None:
    first = trainer_for(rectangles, tmp_path / "a", {"focal": {"gamma": 1.0}})
    second = trainer_for(rectangles, tmp_path / "b", {"focal": {"gamma": 3.0}})
    assert (first.reg.focal.gamma, second.reg.focal.gamma) == (1.0, 3.0)
