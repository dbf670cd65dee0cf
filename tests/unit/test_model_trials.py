"""What is tried in a process of its own ends there, however it ends."""

import faulthandler
import os

import pytest

from blindspot.models.transformers.trials import TrialError, tried


@pytest.mark.skipif(not hasattr(os, "fork"), reason="nothing is tried elsewhere")
def test_library_that_aborts_leaves_no_trace(tmp_path):
    """The fault handler keeps a file of its own, which the child must not write to."""
    was_enabled = faulthandler.is_enabled()
    with (tmp_path / "trace").open("w") as file:
        faulthandler.enable(file)
        try:
            with pytest.raises(TrialError):
                tried(os.abort)
        finally:
            faulthandler.disable()
            if was_enabled:
                faulthandler.enable()
    assert not (tmp_path / "trace").read_text()
