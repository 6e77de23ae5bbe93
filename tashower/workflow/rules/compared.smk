"""Configurations that are run as workflows of their own (compare.smk)."""


def configurations():
    """The configurations to compare, each over those of this run."""
    names = (
        [COMPARED] if isinstance(COMPARED, str) else [str(name) for name in COMPARED]
    )
    given = [str(path) for path in workflow.overwrite_configfiles]
    base = DEFAULTS if DEFAULTS.is_file() else None
    try:
        found = {n: as_dict(load_config(base, *given, n, GIVEN)) for n in names}
    except InputError as error:
        raise WorkflowError(str(error))
    folders = [os.path.abspath(complete["results"]) for complete in found.values()]
    if len(set(folders)) < len(folders):
        raise WorkflowError(
            f"compare: {', '.join(names)}: each needs another folder for its `results`"
        )
    return found


CONFIGURATIONS = configurations()


def run_of(name, cores):
    """The command that runs a configuration, over those and the keys of this run."""
    given = map(str, workflow.overwrite_configfiles)
    files = [path for path in given if not os.path.samefile(path, name)] + [str(name)]
    keys = [f"{key}={json.dumps(value)}" for key, value in GIVEN.items()]
    words = ["tashower", "run", "--cores", str(cores)]
    words += ["--snakefile", str(workflow.main_snakefile)]
    words += [word for file in files for word in ("--config", file)]
    return shlex.join([*words, *(["-C", *keys] if keys else [])])


def run_each(cores):
    """The commands that run them, joined for the shell."""
    if len(CONFIGURATIONS) < 2:
        said = (
            "compare: two configurations or more are needed: 'compare=[a.yaml,b.yaml]'"
        )
        return f"echo {shlex.quote(said)} && exit 2"
    return " && ".join(run_of(each, cores) for each in CONFIGURATIONS)


# The architectures side by side; it comes with a checkout.
BACKBONES = Path(workflow.basedir, "config/backbones.yaml")


def run_backbones(cores):
    """The commands that train them and make their table."""
    if not BACKBONES.is_file():
        said = f"compare_backbones: {BACKBONES}: no such file: it comes with a checkout"
        return f"echo {shlex.quote(said)} && exit 2"
    base = [DEFAULTS] if DEFAULTS.is_file() else []
    try:
        complete = load_config(*base, *workflow.overwrite_configfiles, BACKBONES, GIVEN)
    except InputError as error:
        raise WorkflowError(str(error))
    table = shlex.join(["tashower", "backbones", complete.results])
    return f"{run_of(BACKBONES, cores)} && {table}"


# Other showers cannot be paired.
SHOWERS_OF = {
    json.dumps([complete[key] for key in ("seed", "array", "showers")], sort_keys=True)
    for complete in CONFIGURATIONS.values()
}
