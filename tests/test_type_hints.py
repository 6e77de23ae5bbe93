"""Public signatures say what they take and give."""

import ast
from pathlib import Path

import pytest

PACKAGE = Path(__file__).resolve().parent.parent / "tashower"
# Their arguments are numbers or arrays of numba's; annotations would say nothing.
COMPILED = {"inner", "formula", "compiled"}


def public_functions(tree):
    """Functions of a module and methods of its classes whose names do not begin with `_`."""
    for node in tree.body:
        if isinstance(node, ast.ClassDef) and not node.name.startswith("_"):
            yield from public_functions(node)
        elif isinstance(node, ast.FunctionDef) and not node.name.startswith("_"):
            decorators = {ast.unparse(d).split("(")[0] for d in node.decorator_list}
            if not decorators & COMPILED:
                yield node


def not_annotated(source: str) -> list[str]:
    """Functions and arguments without a type."""
    found = []
    for function in public_functions(ast.parse(source)):
        words = function.args
        arguments = [*words.posonlyargs, *words.args, *words.kwonlyargs, words.vararg, words.kwarg]
        found += [
            f"{function.name}({a.arg})"
            for a in arguments
            if a is not None and a.annotation is None and a.arg not in ("self", "cls")
        ]
        if function.returns is None:
            found.append(f"{function.name} ->")
    return found


def test_what_is_missing_is_found():
    source = (
        "def f(a, b: int, *c, d=1, **e): pass\n"
        "class A:\n    def g(self, x) -> int: pass\n    def _h(x): pass\n"
        "@compiled(inline=True)\ndef k(x): pass\n"
    )
    assert not_annotated(source) == ["f(a)", "f(d)", "f(c)", "f(e)", "f ->", "g(x)"]


FILES = sorted(PACKAGE.rglob("*.py"))


@pytest.mark.parametrize("path", FILES, ids=lambda p: str(p.relative_to(PACKAGE)))
def test_public_signatures_are_annotated(path):
    assert not_annotated(path.read_text()) == []


def test_the_package_says_that_it_is_typed():
    assert (PACKAGE / "py.typed").is_file()
    project = (PACKAGE.parent / "pyproject.toml").read_text()
    assert '"py.typed"' in project
