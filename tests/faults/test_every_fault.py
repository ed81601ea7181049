"""Every scenario of the catalogue that is due has a test that carries its number."""

import ast
from collections import defaultdict
from pathlib import Path

TESTS = Path(__file__).parents[1]
DUE = {*range(1, 23), 24, *range(27, 36), *range(39, 45), 50, 51, 53, 55}


def test_every_scenario_that_is_due_has_a_test() -> None:
    found = faults_with_tests()
    missing = sorted(DUE - found.keys())
    assert missing == []


def faults_with_tests() -> dict[int, list[str]]:
    """The tests of each scenario, read from their markers; nothing is imported, so those of the cluster count too."""
    found: dict[int, list[str]] = defaultdict(list)
    for file in sorted(TESTS.rglob("test_*.py")):
        for node in ast.walk(ast.parse(file.read_text())):
            if isinstance(node, ast.FunctionDef) and node.name.startswith("test_"):
                for number in _numbers(node):
                    found[number].append(f"{file.relative_to(TESTS.parent)}::{node.name}")
    return found


def _numbers(test: ast.FunctionDef) -> list[int]:
    numbers = []
    for decorator in test.decorator_list:
        match decorator:
            case ast.Call(func=ast.Attribute(attr="fault"), args=[ast.Constant(value=int(number))]):
                numbers.append(number)
    return numbers
