#!/bin/sh
# All that a machine with a card is asked, in 8 minutes at most: does the device open, are its kernels right,
# do the sanitizers find anything, what do the works cost. Every stage has its own time limit; everything goes
# to LOG, and one table comes last. Works in a checkout with its build and in what pack.sh has packed.
# usage: tests/cuda/run.sh [BUILD [LOG]]; GAL_SMALL=1: small sizes, to try the script on the double
set -u
cd "$(dirname "$0")/.."
build=${1:-../build}
log=${2:-/tmp/galrun_cuda.log}
galrun=$build/galrun
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
: >"$log"
for folder in "$build/lib" $(python3 -c 'import site; print(*site.getsitepackages())' 2>/dev/null |
  xargs -n 1 -I{} find {}/nvidia -maxdepth 2 -name lib 2>/dev/null) /usr/local/cuda/lib64; do
  LD_LIBRARY_PATH=${LD_LIBRARY_PATH:+$LD_LIBRARY_PATH:}$folder
done
export LD_LIBRARY_PATH

# stage SECONDS NAME COMMAND...: runs it; a line of the table.
stage() {
  limit=$1 name=$2
  shift 2
  started=$(date +%s)
  timeout "$limit" "$@" >"$work/$name" 2>&1
  code=$?
  { echo "== $name ($*)" && cat "$work/$name"; } >>"$log"
  case $code in 0) result=ok ;; 124) result="over ${limit} s" ;; *) result="exit $code" ;; esac
  printf '%-24s %-12s %4d s  %s\n' "$name" "$result" $(($(date +%s) - started)) \
    "$(grep -E 'passed|ERROR SUMMARY|card|NVIDIA' "$work/$name" | tail -1 | cut -c1-70)" >>"$work/table"
  return $code
}

finish() {
  cat "$work/table"
  echo "all of it: $log"
  exit "$1"
}

stage 20 driver nvidia-smi --query-gpu=name,driver_version,memory.total --format=csv,noheader
ldd "$build/libgalrun_cuda.so" >>"$log" 2>&1
stage 30 opens "$galrun" -e 'print(require("gal").has "cuda")
  print(require("gal").device_info("cuda").description)' || finish 1
bad=0
if ! stage 60 kernels "$galrun" --device cuda cuda/kernels.lua; then
  stage 120 kernels_memcheck compute-sanitizer "$galrun" --device cuda cuda/kernels.lua
  finish 1
fi
for test in ops grad nn layers optim compare golden_image; do
  stage 60 "$test" "$galrun" --device cuda "lua/$test.lua" || bad=1
done
stage 60 integrate "$galrun" --device cuda cuda/integrate.lua || bad=1
stage 60 images "$galrun" --device cuda cuda/images.lua || bad=1
stage 90 image_runs "$galrun" --device cuda cuda/image_runs.lua || bad=1
stage 60 flow "$galrun" --device cuda cuda/flow.lua || bad=1
stage 90 experiments "$galrun" --device cuda cuda/experiments.lua || bad=1
if command -v compute-sanitizer >/dev/null; then
  for tool in memcheck racecheck synccheck; do
    for family in map reduce rows product flow integrate tensor conv conv_bf16 first pool; do
      stage 20 "${tool}_$family" compute-sanitizer --tool $tool --error-exitcode 9 "$galrun" --device cuda \
        cuda/scenario.lua $family || bad=1
    done
  done
fi
stage 90 works "$galrun" --device cuda cuda/works.lua ${GAL_SMALL:+small} || bad=1
cat "$work/works"
finish $bad
