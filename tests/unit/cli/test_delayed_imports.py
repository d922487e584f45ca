"""Modules that run when they are first used."""

import subprocess
import sys

import pytest

START = """
import sys
from kore._cli.delayed_imports import delay_imports
delay_imports("colorsys")
"""


CASES = [
    ("import colorsys; print('rgb_to_hsv' in vars(colorsys))", "False"),
    ("import colorsys; print(colorsys.__spec__.name, len(vars(colorsys)) < 10)", "colorsys True"),
    ("import colorsys; print(colorsys.rgb_to_hsv(0, 0, 0))", "(0.0, 0.0, 0)"),
    ("import colorsys as a; a.ONE_THIRD; import colorsys as b; print(a is b)", "True"),
    ("import colorsys as a; a.ONE_THIRD; print(type(a).__name__)", "module"),
    ("from colorsys import ONE_THIRD; print(ONE_THIRD * 3)", "1.0"),
    ("import colorsys; print(getattr(colorsys, 'nothing', 'none'))", "none"),
    ("delay_imports('sys', 'no_such_name'); print(type(sys).__name__)", "module"),
    ("delay_imports('no_such_name'); print('no_such_name' in sys.modules)", "False"),
]


@pytest.mark.parametrize(("code", "said"), CASES)
def test_a_module_runs_when_it_is_used(code: str, said: str) -> None:
    done = subprocess.run(
        [sys.executable, "-c", START + code], capture_output=True, check=True, text=True
    )

    assert done.stdout.strip() == said
