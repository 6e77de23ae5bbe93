# Read by the shell of every job (rules/jobs.smk), which says in
#   TASHOWER_PYTHON  the Python to start,
#   TASHOWER_FOUND   the folder in which it finds the package; empty: it finds it by itself,
#   TASHOWER_LINKED  the package, to be linked to in that folder; empty: it lies there.

# UTF-8 whatever the locale; a crash in compiled code says where in ours it was.
export PYTHONUTF8=1 PYTHONFAULTHANDLER=1

if [ -n "$TASHOWER_LINKED" ] && [ ! -e "$TASHOWER_FOUND/tashower" ]; then
    mkdir -p "$TASHOWER_FOUND"
    # Another job may be faster.
    ln -s "$TASHOWER_LINKED" "$TASHOWER_FOUND/tashower" 2> /dev/null || [ -e "$TASHOWER_FOUND/tashower" ]
fi
if [ -n "$TASHOWER_FOUND" ]; then
    export PYTHONPATH="$TASHOWER_FOUND${PYTHONPATH:+:$PYTHONPATH}"
fi

# What a stage says that did not end by itself, in its log and on the screen.
tashower() {
    local status=0
    "$TASHOWER_PYTHON" -P -m tashower "$@" || status=$?
    case $status in
        137) echo "tashower $1: killed (SIGKILL), most often because memory ran out" ;;
        143) echo "tashower $1: told to stop (SIGTERM), by a time limit or by Snakemake" ;;
        129 | 13[1-9] | 14[0-9] | 15[0-9])
            echo "tashower $1: crashed (SIG$(kill -l "$status"))" ;;
    esac >&2
    return "$status"
}
