"""docs/api.md from the sources: `make api`.

What `import tashower as ts` gives in full, then what every module holds, one line each. Read from
the text of the sources, nothing is imported: the page is the same on every machine.
"""

import ast
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
TARGET = ROOT / "docs" / "api.md"
HEAD = """# The Python names

Made by `make api` from the docstrings. First what `import tashower as ts` gives; then what every
module holds, floor by floor: `help(...)` says the rest.
"""
FLOORS = (
    *("front_door", "errors", "types", "progress", "memory", "config", "physics", "events", "io"),
    *("convert", "simulation", "calibration", "reconstruction", "likelihood", "network"),
    *("generation", "evaluation"),
)


def modules() -> list[tuple[str, ast.Module]]:
    """(dotted name, syntax tree) of the documented modules."""
    found = []
    for floor in FLOORS:
        base = ROOT / "tashower" / floor
        for path in sorted(base.rglob("*.py")) if base.is_dir() else [base.with_suffix(".py")]:
            words = path.relative_to(ROOT).with_suffix("").parts
            name = ".".join(words[:-1] if words[-1] == "__init__" else words)
            found.append((name, ast.parse(path.read_text(encoding="utf-8"))))
    return found


def public(tree: ast.AST) -> list:
    """Functions and classes of a module, or methods of a class, that are for others."""
    kinds = (ast.FunctionDef, ast.ClassDef)
    return [n for n in tree.body if isinstance(n, kinds) and not n.name.startswith("_")]


def signature(node: ast.AST) -> str:
    """A function as it is called, with types; a class by its name."""
    if isinstance(node, ast.ClassDef):
        return node.name
    gives = f" -> {ast.unparse(node.returns)}" if node.returns else ""
    return f"{node.name}({ast.unparse(node.args)}){gives}"


def first_line(node: ast.AST) -> str:
    """The first sentence or paragraph of a docstring, on one line, as a cell of a table."""
    text = (ast.get_docstring(node) or "").split("\n\n")[0]
    return " ".join(text.split()).replace("|", "\\|")


def in_full(node: ast.AST) -> list[str]:
    """Heading, signature and whole docstring."""
    text = (ast.get_docstring(node) or "").splitlines()
    return ["", f"## ts.{node.name}", "", "```text", f"ts.{signature(node)}", "", *text, "```"]


def page() -> str:
    """The whole page."""
    trees = modules()
    top = ast.parse((ROOT / "tashower" / "__init__.py").read_text(encoding="utf-8"))
    listed = next(n.value for n in top.body if ast.unparse(n).startswith("__all__"))
    everything = {node.name: node for _, tree in reversed(trees) for node in public(tree)}
    lines = [HEAD.rstrip()]
    for name in ast.literal_eval(listed):
        lines += in_full(everything[name])
    for module, tree in trees:
        lines += [
            "",
            f"## {module}",
            "",
            first_line(tree),
            "",
            "| name | what it is |",
            "|---|---|",
        ]
        if not public(tree):
            del lines[-3:]
        for node in public(tree):
            lines.append(f"| `{node.name}` | {first_line(node)} |")
            if isinstance(node, ast.ClassDef):
                lines += [f"| `{node.name}.{m.name}` | {first_line(m)} |" for m in public(node)]
    return "\n".join(line.rstrip() for line in lines) + "\n"


if __name__ == "__main__":
    TARGET.write_text(page(), encoding="utf-8")
    sys.stdout.write(f"{TARGET.relative_to(ROOT)}\n")
