"""Signals are heard also after libraries have changed how they reach the process."""

from __future__ import annotations

import subprocess
import sys

import pytest

from reg_yolo.signals import StopRequest

# A network that a second thread lets go takes the stack for signals with it that the first thread still points to.
NETWORK_ENDS_ELSEWHERE = """
import signal, threading
import openvino
import openvino.opset13 as ops
from reg_yolo.signals import listening_for_signals

def compiled():
    given = ops.parameter([1, 3, 8, 8], name="x")
    return openvino.Core().compile_model(openvino.Model([ops.relu(given)], [given], "m"), "CPU")

networks = [compiled()]
thread = threading.Thread(target=networks.clear)
thread.start()
thread.join()
with listening_for_signals() as stop:
    signal.raise_signal(signal.SIGTERM)
    print("heard" if stop.is_set() else "missed")
"""


def test_a_signal_is_heard_after_a_network_ended_in_another_thread() -> None:
    pytest.importorskip("openvino")
    done = subprocess.run([sys.executable, "-c", NETWORK_ENDS_ELSEWHERE], capture_output=True, text=True, timeout=100)
    assert (done.returncode, done.stdout) == (0, "heard\n"), done.stderr


def test_the_first_signal_is_noted_and_the_second_one_leaves() -> None:
    names: list[str] = []
    stop = StopRequest(names.append)
    stop._receive(15, None)
    with pytest.raises(KeyboardInterrupt):
        stop._receive(15, None)
    assert (stop.requested, stop.signal_name, names) == (True, "SIGTERM", ["SIGTERM"])
