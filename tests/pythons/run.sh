#!/usr/bin/env bash
# The fast tests on the other Pythons that this machine has, 3.11 to 3.14, in environments of their own under build/.
#
# Without torch, whose usual build brings gigabytes of libraries for graphics cards where an index has no other: all but
# networks, and what uses them, is tested; of the methods that take long to compile, only the fits.
set -euo pipefail
cd "$(dirname "$0")/../.."

TESTS=(tests/convert tests/events tests/io tests/physics tests/simulation tests/test_config.py tests/test_config_errors.py
    tests/reconstruction/test_{features,fit,plane,published,pulses,quality}.py)
OWN=$(.venv/bin/python -c 'import sys; print("%d.%d" % sys.version_info[:2])')
mkdir -p build
grep -v '^torch==' requirements.lock.txt > build/requirements-without-torch.txt
found=0
for version in 3.11 3.12 3.13 3.14; do
    [ $version != "$OWN" ] || continue
    python=$(command -v python$version || true)
    # pyenv has stubs for Pythons that are not chosen; those themselves lie here.
    "${python:-false}" -c '' 2> /dev/null || python=$(compgen -G "$HOME/.pyenv/versions/$version.*/bin/python" | tail -1 || true)
    [ -n "$python" ] || continue
    found=$((found + 1))
    environment=build/python-$version
    echo "Python $version: $python"
    "$python" -m venv --clear "$environment"
    "$environment/bin/pip" install --quiet --disable-pip-version-check --no-deps -r build/requirements-without-torch.txt
    PYTHONPATH=. "$environment/bin/python" -m pytest -n 2 -m "not slow and not extra" -q -p no:cacheprovider \
        "${TESTS[@]}"
done
echo "Pythons beside $OWN: $found"
