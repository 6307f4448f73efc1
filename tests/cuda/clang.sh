#!/bin/sh
# A second front end: clang compiles every kernel without a warning. Skipped (77) where none of the clangs
# given reads this toolkit; clang 22 reads CUDA 13.
# usage: tests/cuda/clang.sh TOOLKIT ARCHITECTURES CLANG...; ARCHITECTURES: sm_90a, or "sm_80 sm_90a"
set -u
root=$(cd "$(dirname "$0")/../.." && pwd)
toolkit=$1
architectures=$(printf -- '--cuda-gpu-arch=%s ' $2)
shift 2
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
# The wrapper of clang's own includes "cuda.h" and means the toolkit's: our folder comes last. pass-failed is
# what the optimiser says of a loop that it does not unroll.
flags="-x cuda -std=c++17 -O1 -ffp-contract=off --cuda-path=$toolkit $architectures --cuda-device-only
  -Wall -Wextra -Werror -Wno-unknown-cuda-version -Wno-pass-failed -I$root/runtime -idirafter $root/cuda"
echo '__global__ void nothing() {}' >nothing.cu
for clang in "$@"; do
  "$clang" $flags -c nothing.cu 2>/dev/null && break
  clang=
done
[ -n "${clang:-}" ] || { echo "skipped: no clang here reads $toolkit" && exit 77; }
printf '%s\n' "$root"/cuda/*.cu | xargs -n 1 -P 2 "$clang" $flags -c || exit 1
echo "$("$clang" --version | head -1): every kernel, no warning"
