"""Finds every `reason` that the code can give, by reading it."""

import ast
import importlib
import pkgutil
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeAlias

import previews
from previews.domain.lifetime import EndCause
from previews.errors import PreviewsError

PACKAGE = Path(previews.__file__).parent
ARGO_CD_HEALTH = ("Progressing", "Degraded", "Suspended", "Missing", "Unknown")
"""What an Application's health can be besides Healthy; plan makes a reason of it."""

_REASON = re.compile(r"[A-Z][A-Za-z]+")


def reasons_of_errors() -> set[str]:
    """Of every error that is raised, and of whatever else is given a `reason=`."""
    classes = _error_classes()
    found: set[str] = set()
    lost: list[str] = []
    for path in sorted(PACKAGE.rglob("*.py")):
        module = _Module(path, ast.parse(path.read_text(encoding="utf-8")), classes)
        found |= module.reasons()
        lost += module.lost
    assert not lost, f"these reasons cannot be found by reading: write them as literals: {lost}"
    return found


def reasons_of_plans() -> set[str]:
    """In these modules a problem is a pair of reason and message, wherever one is made; removal.py has departures."""
    causes = {cause.value for cause in EndCause}
    return causes.union(*map(_pairs_and_departures, ("plan.py", "green.py", "removal.py")))


def _pairs_and_departures(name: str) -> set[str]:
    module = ast.parse((PACKAGE / "domain" / name).read_text(encoding="utf-8"))
    in_tables = {id(e) for t in ast.walk(module) if isinstance(t, ast.Tuple) for e in t.elts}
    found: set[str] = set()
    for node in ast.walk(module):
        match node:
            case ast.Tuple(elts=[_, ast.Constant(value=bool())]):
                pass
            case ast.Tuple(elts=[ast.Constant(value=str(text)), _]) if id(node) not in in_tables:
                found |= {text} - {""}
            case ast.Tuple(elts=[ast.JoinedStr(values=[ast.Constant(value="Health"), _]), _]):
                found |= {f"Health{health}" for health in ARGO_CD_HEALTH}
            case ast.Call(func=ast.Name(id="why"), args=[_, ast.Constant(value=str(text))]):
                found.add(text)
            case ast.Call(func=ast.Name(id="Departure"), args=[ast.Constant(value=str(text)), *_]):
                found.add(text)
    return found


def _error_classes() -> set[str]:
    """The names of PreviewsError and of all classes below it that take a reason."""
    for module in pkgutil.walk_packages(previews.__path__, "previews."):
        if not module.name.endswith((".migrations.env", ".__main__")):
            importlib.import_module(module.name)
    found: set[str] = set()
    waiting = [PreviewsError]
    while waiting:
        error = waiting.pop()
        found.add(error.__name__)
        waiting += error.__subclasses__()
    return found - {"ConfigurationError"}


_Function: TypeAlias = ast.FunctionDef | ast.AsyncFunctionDef


@dataclass
class _Module:
    """One module, and every expression for a reason in it that cannot be followed."""

    path: Path
    tree: ast.Module
    errors: set[str]
    lost: list[str] = field(default_factory=list)

    def reasons(self) -> set[str]:
        functions = [n for n in ast.walk(self.tree) if isinstance(n, _Function)]
        found = {text for function in functions for text in self._given_in(function)}
        return {text for text in found if _REASON.fullmatch(text)}

    def _given_in(self, function: _Function) -> Iterator[str]:
        raised = self.errors | set(self._chosen_errors(function))
        for call in (node for node in ast.walk(function) if isinstance(node, ast.Call)):
            match call:
                case ast.Call(func=ast.Name(id=name), args=[reason, *_]) if name in raised:
                    yield from self._texts(reason, function)
                case ast.Call(func=ast.Attribute(attr="__init__"), args=[reason, *_]):
                    yield from self._texts(reason, function)
            for keyword in call.keywords:
                if keyword.arg == "reason":
                    yield from self._texts(keyword.value, function)

    def _chosen_errors(self, function: _Function) -> Iterator[str]:
        """Variables that hold one of two kinds of error: `kind = OneError if ... else OtherError`."""
        for node in ast.walk(function):
            match node:
                case ast.Assign(
                    targets=[ast.Name(id=name)], value=ast.IfExp(body=ast.Name(id=kind))
                ):
                    if kind in self.errors:
                        yield name

    def _texts(self, value: ast.expr, function: _Function) -> Iterator[str]:
        """The texts that an expression can be."""
        match value:
            case ast.Constant(value=str(text)):
                yield text
            case ast.IfExp(body=body, orelse=other):
                yield from self._texts(body, function)
                yield from self._texts(other, function)
            case ast.Attribute() | ast.JoinedStr() | ast.Call():
                pass  # handed on from where it was found already, or a text for people
            case ast.Name(id=name) if sources := list(self._sources(name, function)):
                for source in sources:
                    yield from self._texts(source, function)
            case ast.Name(id=name) if name in _parameters(function):
                pass  # whoever calls says it
            case ast.Name() if self.path.name in {"plan.py", "removal.py"}:
                pass  # out of a pair, and reasons_of_plans finds those
            case _:
                self.lost.append(f"{self.path.name}:{value.lineno}: {ast.unparse(value)}")

    def _sources(self, name: str, function: _Function) -> Iterator[ast.expr]:
        """What a variable is assigned, or takes from a table of the module that is looped over."""
        for node in ast.walk(function):
            match node:
                case ast.Assign(targets=[ast.Name(id=found)], value=value) if found == name:
                    yield value
                case ast.For(target=ast.Tuple(elts=targets), iter=ast.Name(id=table)):
                    for place, target in enumerate(targets):
                        if isinstance(target, ast.Name) and target.id == name:
                            yield from (row.elts[place] for row in self._rows(table))

    def _rows(self, table: str) -> Iterator[ast.Tuple]:
        for node in self.tree.body:
            match node:
                case ast.Assign(targets=[ast.Name(id=found)], value=ast.Tuple(elts=rows)):
                    if found == table:
                        yield from (row for row in rows if isinstance(row, ast.Tuple))


def _parameters(function: _Function) -> set[str]:
    return {argument.arg for argument in (*function.args.args, *function.args.kwonlyargs)}
