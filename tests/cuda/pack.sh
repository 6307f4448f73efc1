#!/bin/sh
# Packs a build so that it runs on another machine with a card: galrun, its library for CUDA, lua/,
# experiments/ and tests/, and the shared libraries of this system that galrun needs, without libc and its kin
# and without CUDA's own and cuDNN, which the other machine has. Below 60 MiB, for glibc 2.34 or later;
# tests/cuda/run.sh goes along, and what it compares with.
# usage: tests/cuda/pack.sh BUILD OUT.tar.gz, BUILD configured with -DGALRUN_ONEDNN=OFF
set -eu
root=$(cd "$(dirname "$0")/../.." && pwd)
build=$(cd "$1" && pwd)
out=$2
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
pack=$work/galrun
mkdir -p "$pack/build/lib" "$pack/tests"
cp "$build/galrun" "$build/libgalrun_cuda.so" "$pack/build/"
cp -r "$root/lua" "$root/experiments" "$pack/"
cp -r "$root/tests/lua" "$root/tests/cuda" "$root/tests/golden" "$pack/tests/"
ln -s ../lua "$pack/build/lua"
ldd "$build/galrun" | sed -n 's/.*=> \(\/[^ ]*\) .*/\1/p' | while read -r library; do
  case ${library##*/} in
    libc.so* | libm.so* | libstdc++.so* | libgcc_s.so* | ld-linux*) ;;
    libpthread.so* | libdl.so* | librt.so*) ;;
    *) cp -L "$library" "$pack/build/lib/" ;;
  esac
done
newest=$(objdump -T "$pack/build/galrun" "$pack"/build/*.so "$pack"/build/lib/* |
  sed -n 's/.*(GLIBC_\(2[0-9.]*\)).*/\1/p' | sort -uV | tail -1)
tar -C "$work" -czf "$out" galrun
size=$(($(wc -c <"$out") / 1048576))
echo "$out: $size MiB, needs glibc $newest"
[ "$(printf '%s\n2.34\n' "$newest" | sort -V | tail -1)" = 2.34 ] ||
  { echo "pack.sh: expected no later glibc than 2.34" >&2 && exit 1; }
[ "$size" -lt 60 ] || { echo "pack.sh: expected less than 60 MiB" >&2 && exit 1; }
