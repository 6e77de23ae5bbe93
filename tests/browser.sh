#!/usr/bin/env bash
# A browser for the tests of pages (tests/browser.py): Debian's Chromium, where there is none yet.
#
#     tests/browser.sh
#
# Needs root and apt; without them it says that it skips, and so do those tests.
set -euo pipefail

skip() {
    echo "browser: SKIPPED: $1"
    exit 0
}

for name in chromium chromium-browser google-chrome google-chrome-stable chrome; do
    if command -v "$name" > /dev/null; then
        echo "browser: $(command -v "$name")"
        exit 0
    fi
done
[ "$(id -u)" = 0 ] || skip "none is here, and this is not root"
command -v apt-get > /dev/null || skip "none is here, and no apt"
LOG=$(mktemp)
trap 'rm -f "$LOG"' EXIT
echo "browser: installing chromium"
(apt-get update && DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends chromium fonts-liberation) > "$LOG" 2>&1 \
    || skip "apt does not install chromium ($(tail -1 "$LOG"))"
