#!/bin/sh
# What a full disk does to files: every format that galrun writes, and a training run, on a disk of 256 KiB (a
# tmpfs of our own, in a user namespace), and once more under a limit on file sizes, which is all that can be
# tried where namespaces are not allowed. Each case's name is a sentence that can be false.
# usage: disk.sh GALRUN; exits with 1 if a case failed
galrun=$1
golden=$(cd "$(dirname "$0")/../golden/cutouts" && pwd)/colour.jpg
work=${2:-}
if [ -z "$work" ]; then
  work=$(mktemp -d) || exit 1
  trap 'rm -rf "$work"' EXIT
  mkdir "$work/disk"
  result=0
  sh "$0" "$galrun" "$work" limit || result=1
  if unshare -Urm sh -c 'mount -t tmpfs -o size=256k tmpfs "$1"' - "$work/disk" 2>/dev/null; then
    mounted='mount -t tmpfs -o size=256k tmpfs "$2/disk" && sh "$0" "$1" "$2" tmpfs'
    unshare -Urm sh -c "$mounted" "$0" "$galrun" "$work" || result=1
  else
    echo "no tmpfs can be mounted here: only the limit on file sizes was tried"
  fi
  exit $result
fi
how=$3
experiments=$(cd "$(dirname "$0")/../../experiments" && pwd)
cd "$work" || exit 1
rm -rf disk/* disk/.[!.]*
passed=0 failed=0

# full COMMAND...: runs it where nothing can be written, and fills $err and $code. Its output goes through a
# pipe, which has no limit.
full() {
  blocks=0
  if [ "$how" = tmpfs ]; then dd if=/dev/zero of=disk/fill bs=4096 >/dev/null 2>&1; blocks=unlimited; fi
  code=$({ { (ulimit -f $blocks; exec "$@") 2>&1 >/dev/null; echo $? >&3; } | cat >err; } 3>&1)
  err=$(cat err)
  rm -f disk/fill
}
# some COMMAND...: the same where a part of it can be written: 150 KiB.
some() {
  if [ "$how" = tmpfs ]; then blocks=unlimited; else blocks=300; fi
  code=$({ { (ulimit -f $blocks; exec "$@") 2>&1 >/dev/null; echo $? >&3; } | cat >err; } 3>&1)
  err=$(cat err)
}
check() { # sentence, condition as words for test
  sentence="$1 ($how)"; shift
  if [ "$@" ]; then passed=$((passed + 1)); return; fi
  failed=$((failed + 1))
  printf 'FAILED: %s\n  exit code %s; stderr: %s\n' "$sentence" "$code" "$err" >&2
}
sum() { (cd disk && find . -type f ! -name fill -exec cksum {} + | sort); }
told() { # file: stderr has one sentence with its name and the reason, behind the progress
  found=no
  case $(grep "can't be written" err) in
    *"$1"*"can't be written"*"No space left on device"*) found=yes ;;
    *"$1"*"can't be written"*"File too large"*) found=yes ;;
  esac
  check "a full disk is told in one sentence that names $1" "$found" = yes
  check "the sentence about $1 stands once" "$(grep -c "can't be written" err)" = 1
  check "a full disk ends galrun with 1 writing $1" "$code" = 1
}

cat >write.lua <<'LUA'
-- write.lua NAME N: a file of N numbers under that name.
local gal = require "gal"
local name, x = arg[1], gal.arange(tonumber(arg[2]))
if name:find "csv$" or name:find "fits$" then gal.table{ x = x, y = x }:save(name)
elseif name:find "npy$" then gal.save(name, x)
else gal.save(name, { x = x, y = x + 1 }) end
LUA
for file in a.npy a.npz a.safetensors a.csv a.fits; do
  "$galrun" write.lua disk/$file 100 || check "a small $file is written" 1 = 0
done
before=$(sum)
for file in a.npy a.npz a.safetensors a.csv a.fits; do
  some "$galrun" write.lua disk/$file 100000
  told $file
  check "$file is as it was after the disk was full half way" "$(sum)" = "$before"
  full "$galrun" write.lua disk/$file 1000
  told $file
  check "$file is as it was after nothing could be written" "$(sum)" = "$before"
done
check "nothing is left beside the files" "$(ls -A disk | wc -l)" -eq 5
for file in a.npy a.npz a.safetensors a.csv a.fits; do
  "$galrun" write.lua disk/$file 200 2>err; code=$?; err=$(cat err)
  check "$file is written once there is room" $code = 0
done

cat >train.lua <<'LUA'
-- train.lua EPOCHS: a small run in disk/run, resumed where it stands.
local gal = require "gal"
local r = gal.rng(1)
local theta = gal.randn({ 200, 2 }, { rng = r })
local context = theta + gal.randn({ 200, 2 }, { rng = r })
local flow = require("gal.flow").new{ theta = 2, context = 2, hidden = { 8 }, rng = gal.rng(2) }
require("gal.train").fit{
  flow = flow, theta = theta, context = context, batch = 50, epochs = tonumber(arg[1]), patience = 100,
  out = "disk/run", resume = true, progress = false,
}
LUA
rm -f disk/a.*
"$galrun" train.lua 2 2>err; code=$?; err=$(cat err)
check "two epochs are trained" $code = 0
cksum_of() { cksum <"disk/run/$1"; }
flow=$(cksum_of flow.safetensors)
checkpoint=$(cksum_of checkpoint.safetensors)
history=$(cksum_of history.csv)
full "$galrun" train.lua 4
case $(head -n 1 err) in *disk/run/*"can't be written"*) found=yes ;; *) found=no ;; esac
check "a run on a full disk says which file can't be written" $found = yes
check "a run on a full disk ends with 1" "$code" = 1
check "the last good epoch's checkpoint is as it was" "$(cksum_of checkpoint.safetensors)" = "$checkpoint"
check "the last good epoch's flow is as it was" "$(cksum_of flow.safetensors)" = "$flow"
check "the history is as it was" "$(cksum_of history.csv)" = "$history"
check "a run on a full disk leaves no temporary file" -z "$(find disk -name '*.tmp')"
"$galrun" train.lua 4 2>err; code=$?; err=$(cat err)
check "with room again the run goes on to its end" "$code" = 0
check "the history then has its four epochs" "$(grep -c '^[0-9]' disk/run/history.csv)" -eq 4

# Draws of 1,500 galaxies, whose lines need 250 KiB: some are drawn, and stay.
cat >draw.lua <<'LUA'
-- draw.lua OUT: draws in that folder, gone on with where they stand.
local gal = require "gal"
local r, part = gal.rng(1), { ids = {} }
part.theta = gal.randn({ 1500, 2 }, { rng = r })
part.context = part.theta + gal.randn({ 1500, 2 }, { rng = r })
for k = 1, 1500 do part.ids[k] = tostring(k) end
function part.select(self, positions)
  local own = { ids = {}, context = self.context:rows(positions) }
  for i, k in ipairs(positions) do own.ids[i] = self.ids[k] end
  return own
end
local flow = require("gal.flow").new{ theta = 2, context = 2, hidden = { 8 }, rng = gal.rng(2) }
flow:standardise(part.theta, part.context)
require("gal.infer").posteriors(flow, part,
  { n = 1, steps = 2, seed = 3, out = arg[1], resume = true, progress = false })
LUA
rm -rf disk/* draws
some "$galrun" draw.lua disk/draws
told summary.part
"$galrun" draw.lua draws
mv disk/draws part
"$galrun" draw.lua part 2>err; code=$?; err=$(cat err)
check "with room again the other galaxies are drawn" "$code" = 0
for name in samples.npy summary.csv; do
  cmp -s part/$name draws/$name; code=$?
  check "$name is then as on a disk with room" $code = 0
done
rm -rf part draws

# Packing 100 cutouts of 24 x 24, 169 KiB, into a folder on the full disk.
rm -rf disk/* survey
mkdir -p survey/cutouts
echo objID,oh_p50 >survey/catalog.csv
for k in $(seq 100); do cp "$golden" survey/cutouts/$k.jpg; echo $k,8.$k >>survey/catalog.csv; done
cat >pack.lua <<'LUA'
local images = { packed = "disk/packed", progress = false }
require("gal.data").open("survey", { theta = { "oh_p50" }, context = {}, images = images })
LUA
mkdir disk/packed
full "$galrun" pack.lua
told disk/packed/cutouts.
check "a full disk leaves no cutouts.npy" ! -e disk/packed/cutouts.npy
check "a full disk leaves no cutouts.csv" ! -e disk/packed/cutouts.csv
"$galrun" pack.lua 2>err; code=$?; err=$(cat err)
check "with room again the packing ends" "$code" = 0
packed=$(wc -c <disk/packed/cutouts.npy)
check "the packing then holds every cutout" "$packed" -eq $((128 + 100 * 24 * 24 * 3))

rm -rf disk/*
some "$galrun" "$experiments/make_survey.lua" --n 3000 --out disk/survey --no-cutouts
told catalog.fits
check "a survey on a full disk has no catalogue, in whole or part" -z "$(find disk -name '*.fits*')"

echo "$how: $passed passed, $failed failed"
[ "$failed" = 0 ]
