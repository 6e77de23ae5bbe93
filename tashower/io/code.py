"""What code made a file: a fingerprint of the modules that a stage imports, by their syntax.

Comments, docstrings, blank lines and formatting do not count: they change no result. What Python
imports while it runs, by a name that is not written in an import, is named by `stages`.
"""

import ast
import functools
import hashlib
from collections.abc import Iterable, Iterator
from pathlib import Path

PACKAGE = Path(__file__).resolve().parent.parent
#: What decides no result, modules and folders: the command line, how a configuration is read (its
#: values count, and are compared themselves), messages, what is said of a file's origin and how it
#: gets its name; `tashower` itself holds names and the version.
NOT_COUNTED = (
    *("", "caches", "cli", "config", "errors", "front_door", "memory", "progress", "types"),
    *("io.atomic", "io.code", "io.paths", "io.provenance", "io.samples", "io.stages"),
    "io.statements",
)


def _path_of(module: str) -> Path | None:
    """File of a module of the package, "io.atomic" for tashower.io.atomic; None: there is none."""
    place = PACKAGE.joinpath(*module.split(".")) if module else PACKAGE
    for path in (place.with_suffix(".py"), place / "__init__.py"):
        if path.is_file() and (module or path.name == "__init__.py"):
            return path
    return None


@functools.cache
def _tree(module: str) -> ast.Module:
    return ast.parse(_path_of(module).read_bytes())


def _named(node: ast.AST, module: str) -> Iterator[str]:
    """Names that an import may mean, without "tashower"; more than there are modules."""
    if isinstance(node, ast.Import):
        names = [alias.name for alias in node.names]
    elif isinstance(node, ast.ImportFrom):
        base = node.module or ""
        if node.level:
            parts = ["tashower", *filter(None, module.split("."))]
            inside = _path_of(module).name == "__init__.py"
            parts = parts[: len(parts) - node.level + inside]
            base = ".".join([*parts, *filter(None, [base])])
        names = [base, *(f"{base}.{alias.name}" for alias in node.names)]
    else:
        return
    for name in names:
        top, *rest = name.split(".")
        if top == "tashower":
            yield ".".join(rest)


@functools.cache
def _imports(module: str) -> frozenset[str]:
    """Modules of the package that one imports, also inside its functions; with each come the
    packages that it lies in.
    """
    found = set()
    for node in ast.walk(_tree(module)):
        for name in _named(node, module):
            parts = name.split(".")
            found |= {".".join(parts[:n]) for n in range(1, len(parts) + 1)}
    return frozenset(name for name in found if _path_of(name) is not None)


def counts(module: str) -> bool:
    """Whether a change of a module may change a result."""
    return module not in NOT_COUNTED and module.split(".")[0] not in NOT_COUNTED


def modules_of(entries: Iterable[str]) -> list[str]:
    """All modules of the package that some of its modules import, themselves included, sorted;
    without those of NOT_COUNTED.

    entries : "simulation.simulate" for tashower.simulation.simulate

    Raises
    ------
    ValueError : an entry is no module.
    """
    entries = list(entries)
    if wrong := [entry for entry in entries if _path_of(entry) is None]:
        raise ValueError(f"no modules of tashower: {', '.join(wrong)}")
    found: set[str] = set()
    left = [
        ".".join(parts[:n])
        for parts in (entry.split(".") for entry in entries)
        for n in range(1, len(parts) + 1)
    ]
    while left:
        module = left.pop()
        if module in found or not counts(module) or _path_of(module) is None:
            continue  # a folder needs no __init__.py
        found.add(module)
        left += _imports(module)
    return sorted(found)


def _without_docstrings(tree: ast.Module) -> ast.Module:
    holders = (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)
    for node in ast.walk(tree):
        if isinstance(node, holders):
            node.body = [
                part
                for part in node.body
                if not (isinstance(part, ast.Expr) and isinstance(part.value, ast.Constant))
            ]
    return tree


def _words(node: object) -> str:
    """A syntax tree as text: as ast.dump, but the same in every version of Python that knows no
    field that is used, because empty ones are left out.
    """
    if isinstance(node, ast.AST):
        fields = ((name, getattr(node, name, None)) for name in node._fields)
        inner = ",".join(
            f"{name}={_words(value)}"
            for name, value in fields
            if value is not None and value != [] and name not in ("kind", "type_comment", "ctx")
        )
        return f"{type(node).__name__}({inner})"
    if isinstance(node, list):
        return f"[{','.join(map(_words, node))}]"
    return repr(node)


def syntax_of(source: str | bytes) -> str:
    """sha256 of the syntax tree of a Python source; comments, docstrings and formatting are free.

    Raises
    ------
    SyntaxError : it is not Python.
    """
    return hashlib.sha256(_words(_without_docstrings(ast.parse(source))).encode()).hexdigest()


@functools.cache
def _of_module(module: str) -> str:
    return syntax_of(_path_of(module).read_bytes())


@functools.cache
def code_of(entries: tuple[str, ...], files: tuple[str, ...] = ()) -> str:
    """Twelve hexadecimal digits that change with the code of any module that `modules_of` finds,
    and with any byte of further files.

    files : patterns of files in the package that the modules load, "evaluation/templates/*.j2"
    """
    digest = hashlib.sha256()
    for module in modules_of(entries):
        digest.update(f"{module} {_of_module(module)}\n".encode())
    for path in sorted(path for pattern in files for path in PACKAGE.glob(pattern)):
        content = hashlib.sha256(path.read_bytes()).hexdigest()
        digest.update(f"{path.relative_to(PACKAGE).as_posix()} {content}\n".encode())
    return digest.hexdigest()[:12]
