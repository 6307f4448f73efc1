#!/bin/sh
# Installs the packages that galrun needs and the system lacks, then builds it in build/. Can be run from any
# folder, and again: then it rebuilds what has changed. Without root and sudo it names the missing packages
# and builds with those that CMAKE_PREFIX_PATH offers (conda, modules on a cluster). It never installs CUDA.
set -eu
root=$(cd "$(dirname "$0")/.." && pwd)
cd "$root"

missing=
if command -v dpkg-query >/dev/null 2>&1; then
    for package in $(grep -v '^#' third_party/packages); do
        status=$(dpkg-query -W -f '${db:Status-Status}' "$package" 2>/dev/null || true)
        [ "$status" = installed ] || missing="$missing $package"
    done
fi
if [ -n "$missing" ]; then
    if [ "$(id -u)" = 0 ]; then
        sudo=
    elif command -v sudo >/dev/null 2>&1 && sudo -n true 2>/dev/null; then
        sudo=sudo
    elif command -v sudo >/dev/null 2>&1 && [ -t 0 ]; then
        sudo=sudo
    else
        sudo=none
    fi
    if [ "$sudo" = none ] || ! command -v apt-get >/dev/null 2>&1; then
        echo "setup.sh: these packages are missing and can't be installed without root:$missing" >&2
        echo "setup.sh: building with what CMAKE_PREFIX_PATH and PKG_CONFIG_PATH offer" >&2
    else
        echo "setup.sh: installing$missing"
        $sudo env DEBIAN_FRONTEND=noninteractive apt-get update -q
        # shellcheck disable=SC2086 # one word a package
        $sudo env DEBIAN_FRONTEND=noninteractive apt-get install -y -q --no-install-recommends $missing
    fi
fi

if [ ! -f build/CMakeCache.txt ]; then
    if command -v ninja >/dev/null 2>&1; then
        cmake -S . -B build -G Ninja
    else
        cmake -S . -B build
    fi
fi
cmake --build build --parallel "$(getconf _NPROCESSORS_ONLN)"
echo "setup.sh: build/galrun is ready"
