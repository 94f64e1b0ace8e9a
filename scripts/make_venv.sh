#!/usr/bin/env bash
# Make the virtual environment with the exact versions of constraints.txt: make_venv.sh PYTHON VENV
set -euo pipefail
python=$1 venv=$2

if ! "$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))'; then
    echo "lcfs needs Python 3.11 or newer, $python is $("$python" --version 2>&1); call make with PYTHON=python3.11" >&2
    exit 2
fi
if [ ! -x "$venv/bin/pip" ]; then
    rm -rf "$venv"
    # Debian and Ubuntu ship Python without the part that venv needs.
    if ! "$python" -c 'import ensurepip' 2>/dev/null; then
        package=$("$python" -c 'import sys; print("python%d.%d-venv" % sys.version_info[:2])')
        if [ "$(id -u)" = 0 ]; then sudo=""; else sudo="sudo"; fi
        $sudo apt-get update -qq && $sudo apt-get install -y -qq "$package" || {
            echo "$python cannot make virtual environments; install the package $package and run make again" >&2
            exit 2
        }
    fi
    "$python" -m venv "$venv"
fi
# torch first: another package's looser range must not choose it.
"$venv/bin/pip" install --quiet --disable-pip-version-check -c constraints.txt torch
"$venv/bin/pip" install --quiet --disable-pip-version-check -c constraints.txt -e '.[dev]'
