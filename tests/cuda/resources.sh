#!/bin/sh
# What the compiler makes of the kernels for compute capability 9.0 (ptxas -v): none takes more than 128
# registers, half of what a block of 256 threads has, and none spills more than the few bytes that the slow
# path of a division saves. The integrator on tensor cores keeps its operands in registers: it may have all
# that its 256 threads have, spills none, and has the instructions that it is written for.
# usage: tests/cuda/resources.sh NVCC [all]; all: prints every kernel's line.
set -eu
nvcc=$1
cd "$(dirname "$0")/../.."
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
# Two at once, the longest first.
ls -S cuda/*.cu | xargs -P 2 -I FILE sh -c 'bin=$2/${3##*/} && "$1" -std=c++17 -O3 --fmad=false \
  -gencode arch=compute_90,code=sm_90 -gencode arch=compute_90,code=compute_90 -Xptxas -v -Iruntime -Icuda \
  --no-compress -fatbin -o "$bin.bin" "$3" >"$bin.said" 2>&1' sh "$nvcc" "$work" FILE
for file in cuda/*.cu; do
  sed -n -e 's/.*Compiling entry function .\([^ ]*\). for.*/\1/p' \
    -e 's/.* \([0-9]*\) bytes spill stores.*/spill \1/p' -e 's/.*Used \([0-9]*\) registers.*/registers \1/p' \
    "$work/${file##*/}.said" |
    awk -v file="$file" '/^spill/ { spill = $2; next } /^registers/ { print file, name, $2, spill; next }
      { name = $1 }' >>"$work/all"
done
[ "${2:-}" = all ] && cat "$work/all"
for shape in m16n8k16.row.col.f32.f16 m16n8k16.row.col.f32.bf16 m16n8k8.row.col.f32.tf32; do
  grep -aq "mma.sync.aligned.$shape" "$work/integrate_mma.cu.bin" || { echo "no mma.sync of $shape"; exit 1; }
done
awk '{ kernels++; if ($3 > most) most = $3; if ($4 > spill) spill = $4
       tensor = $2 ~ /integrate_mma/
       if ($3 > (tensor ? 255 : 128) || $4 > (tensor ? 0 : 32)) {
         print $1 ": " $2 ": " $3 " registers, " $4 " bytes spilled"; bad = 1 } }
     END { print kernels " kernels, at most " most " registers and " spill " bytes spilled"
           exit bad || kernels < 60 }' "$work/all"
