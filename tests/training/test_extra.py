"""Without torch, and with one that does not fit, a line says what to do; nothing else needs it."""

from __future__ import annotations

import subprocess
import sys

import pytest
from support.places import ROOT

from facecli.common.enums import Device
from facecli.common.errors import DeviceError, UsageError
from facecli.training import extra


def test_a_missing_torch_is_said_in_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "torch", None)
    with pytest.raises(UsageError, match=r"pip install 'facecli\[train\]'") as error:
        extra.require_converter()
    assert "\n" not in str(error.value)


def test_without_torch_the_rest_of_the_room_can_be_imported() -> None:
    rest = ("people", "degrade", "crops", "measure", "inputs", "enrolled", "aligned")
    words = "import sys; sys.modules['torch'] = None; from facecli.training import " + ", ".join(
        rest
    )
    done = subprocess.run([sys.executable, "-c", words], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


@pytest.mark.training
def test_a_torchvision_of_another_build_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("torch", reason="NOT CHECKED: pip install 'facecli[train]'")

    def mismatched(name: str) -> None:
        if name == "torchvision":
            raise RuntimeError("operator torchvision::nms does not exist\nand more")

    monkeypatch.setattr(extra, "import_module", mismatched)
    with pytest.raises(UsageError, match="does not fit torch") as error:
        extra.require_converter()
    assert "install both in one command" in str(error.value) and "\n" not in str(error.value)


@pytest.mark.training
def test_devices() -> None:
    torch = pytest.importorskip("torch", reason="NOT CHECKED: pip install 'facecli[train]'")
    assert extra.chosen_device(Device.CPU) is Device.CPU
    with pytest.raises(UsageError, match="not on coreml"):
        extra.chosen_device(Device.COREML)
    if torch.cuda.is_available():
        assert extra.chosen_device(Device.AUTO) is extra.chosen_device(Device.CUDA)
    else:
        assert extra.chosen_device(Device.AUTO) is Device.CPU
        with pytest.raises(DeviceError, match="--device cpu"):
            extra.chosen_device(Device.CUDA)
