#!/bin/sh
# usage: slurm.sh GALRUN SOURCE, inside slurm_here.sh: job arrays that galrun writes, in a Slurm of two nodes.
# Four trainings, the first requeued in mid-run, the second cancelled and submitted again, the third told by
# USR1 that its time is nearly up, have the flows of trainings that nothing disturbed; and four shards of
# 2,000 galaxies, merged, are the files of one command; so are two shards of a catalogue of them.
set -eu
galrun=$1 source=$2
cd "$(mktemp -d)"
trap 'rm -rf "$PWD"' EXIT
failed=0
fail() { failed=1; echo "FAILED: $1"; }
show() { head -n 40 "$1"/slurm/*.txt; squeue; }
experiment() { name=$1; shift; "$galrun" --threads 1 "$source/experiments/$name.lua" "$@"; }
# epochs FOLDER: how many are in its history.
epochs() { [ -f "$1/history.csv" ] && echo $(($(wc -l <"$1/history.csv") - 1)) || echo 0; }
# idle: waits for Slurm's queue to be empty.
idle() {
  for _ in $(seq 600); do
    [ -n "$(squeue -h)" ] || return 0
    sleep 0.1
  done
  fail "the queue is empty within a minute"; show sweep; exit 1
}

# 2,000 galaxies, some of them shown alike.
experiment make_survey --n 2000 --no-cutouts --seed 3 --out survey >log
"$galrun" -e '
  local gal, rows, ids = require "gal", {}, {}
  for k = 1, 2000 do rows[k], ids[k] = k % 7 == 0 and 3 or k, tostring(1000000 + k) end
  gal.table("survey/catalog.fits"):select(rows):set("objID", ids):save("alike.csv")'
cat >space.lua <<'LUA'
local lr = require("gal.sweep").choice{ 3e-4, 1e-3, 3e-3, 1e-2 }
return { survey = "survey", epochs = 30, hidden = "16", lr = lr }
LUA
experiment sweep space.lua --method grid --out sweep --slurm >log
# folder K: where trial K is trained.
folder() { echo sweep/00"$1"_*; }
id=$(sbatch --parsable sweep/array.sbatch)
for _ in $(seq 300); do
  ready=yes
  for k in 1 2 3; do [ "$(epochs "$(folder $k)")" -ge 3 ] || ready=no; done
  [ $ready = no ] || break
  sleep 0.05
done
scancel --batch --signal=USR1 "${id}_3"
scancel "${id}_2"
scontrol requeue "${id}_1"
for k in 1 2 3; do
  [ "$(epochs "$(folder $k)")" -lt 30 ] || fail "element $k is disturbed in mid-run"
done

# Meanwhile, what nothing disturbs.
for k in 1 2 3 4; do
  eval "experiment train_photometry $(sed -n "${k}p" sweep/points.txt) --out whole/$k" >log
done
experiment sample whole/4 --survey alike.csv --n 20 --log-prob --out drawn >log
experiment sample whole/4 --survey alike.csv --n 20 --log-prob --out parts --slurm 4 >submit.txt
experiment infer_catalog whole/4 --survey alike.csv --n 20 --out whole.fits >log
experiment infer_catalog whole/4 --survey alike.csv --n 20 --out parts.fits --slurm 2 >catalogue.txt
sbatch --parsable parts/array.sbatch >log
sbatch --parsable parts.fits.shards/array.sbatch >log
sbatch --parsable --array=2 sweep/array.sbatch >log # the cancelled one again
idle

for k in 1 2 3 4; do
  cmp whole/$k/flow.safetensors "$(folder $k)/flow.safetensors" || fail "element $k has the undisturbed flow"
  cmp whole/$k/history.csv "$(folder $k)/history.csv" || fail "element $k has the undisturbed history"
done
for k in 1 3; do
  grep -q "^element $k, start 2, on n" sweep/slurm/$k.txt || fail "element $k was requeued"
done
grep -q "interrupted by TERM" sweep/slurm/2.txt || fail "the cancelled element ended tidily"
grep -q "there is more to do" sweep/slurm/3.txt || fail "USR1 is told"
experiment sweep --collect sweep >log || fail "the sweep is collected: $(cat log)"
[ "$(grep -c ",done,30," sweep/results.csv)" = 4 ] || fail "4 trials are scored: $(cat sweep/results.csv)"
[ $failed = 0 ] || show sweep

# Merged by the command that sample.lua printed.
eval "$galrun $(sed -n 's/^then: *galrun//p' submit.txt)" >log || fail "the shards are merged: $(cat log)"
for name in samples.npy log_prob.npy summary.csv draws.json; do
  cmp drawn/$name parts/$name || { fail "the merged $name is the one without shards"; show parts; }
done
eval "$galrun $(sed -n 's/^then: *galrun//p' catalogue.txt)" >log || fail "it is merged: $(cat log)"
cmp whole.fits parts.fits || { fail "the merged catalogue is the whole one"; show parts.fits.shards; }
[ $failed = 0 ] && echo "slurm.sh: all passed"
exit $failed
