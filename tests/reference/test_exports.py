"""What `reference` itself offers: each name, when it is asked for, and no more than that is imported."""

from __future__ import annotations

import ast
import subprocess
import sys
from importlib import import_module
from pathlib import Path

import pytest

import reference

SOURCE = Path(reference.__file__).read_text(encoding="utf-8")
# What needs PyTorch: it is compared with, or draws what it says.
WITH_PYTORCH = {"TorchEngine", "check_engine", "check_program", "draw_dot"}


def announced() -> dict[str, str]:
    """The module of each name, as type checkers read it."""
    tree = ast.parse(SOURCE)
    imports = (node for node in ast.walk(tree) if isinstance(node, ast.ImportFrom) and node.module)
    found = {alias.name: str(node.module) for node in imports for alias in node.names}
    return {name: module for name, module in found.items() if module.startswith("reference.")}


def test_type_checkers_and_python_read_the_same() -> None:
    """Every exported name is announced to type checkers, and is what its module has under that name."""
    assert sorted(announced()) == sorted(reference.__all__)
    for name, module in announced().items():
        assert getattr(reference, name) is getattr(import_module(module), name)
    assert set(reference.__all__) <= set(dir(reference))


@pytest.mark.parametrize("name", reference.__all__)
def test_a_name_imports_pytorch_only_if_it_needs_it(name: str) -> None:
    """In a process of its own: `import reference` imports no PyTorch, and neither do most of its names."""
    code = f"import sys, reference; assert 'torch' not in sys.modules; reference.{name}; print('torch' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60)
    assert done.stdout == f"{name in WITH_PYTORCH}\n"


def test_what_is_missing_is_said() -> None:
    """A name that is not there is an AttributeError that says so."""
    with pytest.raises(AttributeError, match="module 'reference' has no attribute 'nothing'"):
        reference.nothing  # noqa: B018 - to ask is the test
