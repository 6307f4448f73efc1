#!/bin/sh
# The C sources are laid out as clang-format does it by .clang-format. Exits with 77, which ctest counts as
# skipped, where there is no clang-format, or one of a version whose layout differs from ours.
# usage: tests/format.sh [CLANG_FORMAT]
set -eu
format=${1:-clang-format}
cd "$(dirname "$0")/.."
version=$("$format" --version 2>/dev/null | sed -n 's/.*version \([0-9]*\)\..*/\1/p')
case $version in
  1[4-9]) ;;
  '') echo "format.sh: no clang-format here"; exit 77 ;;
  *) echo "format.sh: clang-format $version, expected 14 to 19: .clang-format says why"; exit 77 ;;
esac
check="$format --style=file --dry-run -Werror"
if printf 'int  a;\n' | $check --assume-filename=runtime/a.c 2>/dev/null; then
  echo "format.sh: $format passes a line that breaks the layout" >&2
  exit 1
fi
find runtime tests cuda -name '*.[ch]' -o -name '*.cu' -o -name '*.cuh' 2>/dev/null | xargs $check
