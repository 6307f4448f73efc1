#!/bin/sh
# All that a machine with a card is asked, in 8 minutes at most: does the device open, what does the card say
# of itself, are the kernels right, do the sanitizers find anything, what do the works cost, what do they cost
# in PyTorch. Every stage has its own time limit and none begins after the eighth minute. Everything goes to
# OUT: log, table, and what becomes fixtures (facts.lua). The table comes last. Works in a checkout with its
# build and in what pack.sh has packed.
# usage: tests/cuda/run.sh [BUILD [OUT]]; GAL_SMALL=1: small sizes, to try the script on the double
set -u
cd "$(dirname "$0")/.."
build=${1:-../build}
out=${2:-/tmp/galrun_cuda}
galrun=$build/galrun
mkdir -p "$out/facts"
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
started=$(date +%s)
: >"$out/log" >"$out/table"
for folder in "$build/lib" $(python3 -c 'import site; print(*site.getsitepackages())' 2>/dev/null |
  xargs -n 1 -I{} find {}/nvidia -maxdepth 2 -name lib 2>/dev/null) /usr/local/cuda/lib64; do
  LD_LIBRARY_PATH=${LD_LIBRARY_PATH:+$LD_LIBRARY_PATH:}$folder
done
export LD_LIBRARY_PATH

# stage SECONDS NAME COMMAND...: runs it; a line of the table. Fails where the command does.
stage() {
  limit=$1 name=$2
  shift 2
  from=$(date +%s)
  left=$((started + 480 - from))
  [ "$left" -lt "$limit" ] && limit=$left
  if [ "$limit" -lt 3 ]; then
    printf '%-20s no time left\n' "$name" >>"$out/table" && return 1
  fi
  command -v "$1" >/dev/null || { printf '%-20s has no %s\n' "$name" "$1" >>"$out/table" && return 0; }
  timeout "$limit" "$@" >"$work/$name" 2>&1
  code=$?
  { echo "== $name ($*)" && cat "$work/$name"; } >>"$out/log"
  case $code in 0) result=ok ;; 124) result="over ${limit} s" ;; *) result="exit $code" ;; esac
  printf '%-20s %-11s %4d s  %s\n' "$name" "$result" $(($(date +%s) - from)) \
    "$(grep -E 'passed|ERROR SUMMARY|card|NVIDIA|bytes' "$work/$name" | tail -1 | cut -c1-70)" >>"$out/table"
  [ $code = 0 ] || : >"$work/bad"
  return $code
}

# on_card SECONDS NAME SCRIPT...: galrun on the card.
on_card() {
  seconds=$1 title=$2
  shift 2
  stage "$seconds" "$title" "$galrun" --device cuda "$@"
}

finish() {
  cat "$out/table"
  echo "$(($(date +%s) - started)) s; all of it: $out"
  [ ! -e "$work/bad" ]
  exit
}

# The card and what it says of itself.
stage 20 driver nvidia-smi --query-gpu=name,driver_version,memory.total --format=csv,noheader
ldd "$build/libgalrun_cuda.so" >>"$out/log" 2>&1
stage 30 opens "$galrun" -e 'print(require("gal").has "cuda")
  print(require("gal").device_info("cuda").description)' || finish
[ -n "${GAL_SMALL:-}" ] || stage 20 facts "$galrun" cuda/facts.lua "$out/facts"

# Are its kernels right? If not, the sanitizer says more than all that would follow.
if ! on_card 60 kernels cuda/kernels.lua; then
  stage 120 kernels_memcheck compute-sanitizer "$galrun" --device cuda cuda/kernels.lua
  finish
fi
# Four tests side by side.
for group in "lua/ops lua/grad lua/nn lua/optim" "lua/compare cuda/suite:layers cuda/suite:tensor cuda/flow" \
  "cuda/suite:flow cuda/suite:train cuda/devices cuda/experiments" \
  "lua/solver lua/metrics lua/analytic cuda/suite:integrate" "cuda/integrate"; do
  for test in $group; do
    argument=
    case $test in
      *:*) name=${test#*:} argument=$name ;;
      *) name=$(echo "${test#lua/}" | tr / _) ;;
    esac
    on_card 60 "$name" "${test%:*}.lua" $argument &
  done
  wait
done
for tool in memcheck racecheck synccheck; do
  for families in "map reduce rows" "product flow integrate" "kde norm random tensor"; do
    for family in $families; do
      stage 30 "${tool}_$family" compute-sanitizer --tool $tool --error-exitcode 9 "$galrun" --device cuda \
        cuda/scenario.lua "$family" &
    done
    wait
  done
done

# Alone on the card: what the works cost, then PyTorch, compiled last.
on_card 110 works cuda/works.lua ${GAL_SMALL:+small}
if python3 -c 'import torch' 2>/dev/null; then
  stage 60 torch python3 cuda/torch_w1.py eager fused graph
  stage 60 torch_compiled python3 cuda/torch_w1.py compiled
else
  printf '%-20s has no PyTorch\n' torch >>"$out/table"
fi
for kernel in product adamw; do
  stage 30 "ncu_$kernel" ncu --set basic --kernel-name "regex:^$kernel" --launch-count 1 "$galrun" \
    --device cuda cuda/works.lua small
done
cat "$work/works" "$work/torch" "$work/torch_compiled" 2>/dev/null | grep -v '^==' | tee "$out/times"
finish
