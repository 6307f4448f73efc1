#!/bin/sh
# Are the tests strong enough? Plants the faults of tests/mutations one at a time in a copy of the tree and
# asks that a ctest fails for each. Too long for ctest itself: ten to twenty minutes on two cores.
# usage: tests/mutate.sh [--commit REVISION] [--jobs N] [--keep] [--in FOLDER] [--trust] [--list] [NAME ...]
#   NAME       only these faults (files of tests/mutations without .txt)
#   --commit   that commit's files and not those of the working tree, which somebody may be changing
#   --jobs     how many compilers and tests at once (1)
#   --keep     leaves the copy and its build where they are, and says where
#   --in       works in this folder and leaves it: the next run with it compiles only what has changed
#   --trust    does not run the tests without a fault first
#   --list     says what each fault is and whether it is stale, and plants none
# Exits with 0 if every fault was caught, 1 if one survived, 2 if one can't be judged: its text is no longer
# in the file exactly once, it does not build, or a test fails without it.
#
# A fault is a file of lines `why SENTENCE`, `file PATH`, `test NAME ...`, then `@@ old`, the exact text,
# `@@ new` and the text in its place.
set -u
LC_ALL=C
export LC_ALL
tree=$(cd "$(dirname "$0")/.." && pwd) from='' jobs=1 keep='' work='' list='' trust='' chosen=''
while [ $# -gt 0 ]; do
  case $1 in
    --commit) from=$2; shift ;;
    --jobs) jobs=$2; shift ;;
    --keep) keep=yes ;;
    --in) work=$2 keep=yes; shift ;;
    --list) list=yes ;;
    --trust) trust=yes ;;
    -*) echo "mutate.sh: no option '$1'; the head of the script lists them" >&2; exit 2 ;;
    *) chosen="$chosen $1" ;;
  esac
  shift
done
[ -n "$chosen" ] || chosen=$(for path in "$tree"/tests/mutations/*.txt; do basename "$path" .txt; done)

# field WORD FAULT: what stands behind that word in the fault's file.
field() { sed -n "/^@@ old\$/q; s/^$1 //p" "$tree/tests/mutations/$2.txt"; }

# planted FAULT FILE: FILE's text with the fault in it on standard output; fails unless the old text is there
# exactly once.
planted() {
  awk '
    FNR == 1 { ++part }
    part == 1 && /^@@ (old|new)$/ { which = $2; next }
    part == 1 && which { text[which] = text[which] (which in seen ? "\n" : "") $0; seen[which] = 1; next }
    part == 2 { file = file $0 "\n" }
    END {
      at = length(text["old"]) ? index(file, text["old"]) : 0
      if (!at || index(substr(file, at + 1), text["old"])) exit 1
      printf "%s%s%s", substr(file, 1, at - 1), text["new"], substr(file, at + length(text["old"]))
    }' "$tree/tests/mutations/$1.txt" "$2"
}

# files: the names of all that is copied; source_of FILE: what is in it.
files() {
  if [ -n "$from" ]; then
    git -C "$tree" ls-tree -r --name-only "$from"
  else
    git -C "$tree" ls-files --cached --others --exclude-standard
  fi
}
source_of() {
  if [ -n "$from" ]; then git -C "$tree" cat-file blob "$from:$1"; else cat "$tree/$1"; fi
}

broken=0
for fault in $chosen; do
  if [ ! -f "$tree/tests/mutations/$fault.txt" ]; then
    echo "mutate.sh: no fault '$fault' in tests/mutations" >&2; broken=1
  elif ! source_of "$(field file "$fault")" | planted "$fault" - >/dev/null; then
    echo "mutate.sh: $fault is stale: its old text is not in $(field file "$fault") exactly once" >&2
    broken=1
  fi
done
[ $broken = 0 ] || exit 2
if [ -n "$list" ]; then
  for fault in $chosen; do printf '%-28s %s\n' "$fault" "$(field why "$fault")"; done
  exit 0
fi

# ---- the copy, built once ----

if [ -n "$work" ]; then
  mkdir -p "$work" || exit 2
  work=$(cd "$work" && pwd)
else
  work=$(mktemp -d) || exit 2
fi
finish() { if [ -n "$keep" ]; then echo "the copy is in $work"; else rm -rf "$work"; fi; }
trap finish EXIT
trap 'exit 130' INT TERM
copy=$work/tree
mkdir -p "$copy"
# Only what differs is copied, so that a kept build goes on being good.
files | sort >"$work/files"
(cd "$copy" && find . -path ./build -prune -o -type f -print | sed 's|^\./||' | sort |
  comm -23 - "$work/files" | while read -r file; do rm "$file"; done)
while read -r file; do
  source_of "$file" >"$work/one" 2>/dev/null || continue
  cmp -s "$work/one" "$copy/$file" && continue
  mkdir -p "$copy/$(dirname "$file")" && cp "$work/one" "$copy/$file" || exit 2
done <"$work/files"

# build TEST ...: what these tests need.
build() {
  targets=galrun
  for test in "$@"; do
    case $test in
      c_*) targets="$targets test_${test#c_}" ;;
      far_*) targets="$targets galrun_far" ;;
      cli_terminal) targets="$targets terminal" ;;
    esac
  done
  # shellcheck disable=SC2086
  ninja -C "$copy/build" -j"$jobs" $targets >"$work/build.log" 2>&1
}
# run TEST ...: whether they pass.
run() {
  ctest --test-dir "$copy/build" -j"$jobs" --output-on-failure --stop-on-failure --no-tests=error \
    -R "^($(echo "$*" | tr ' ' '|'))\$" >"$work/test.log" 2>&1
}

cmake -S "$copy" -B "$copy/build" -G Ninja >"$work/build.log" 2>&1 || { cat "$work/build.log"; exit 2; }
tests=$(for fault in $chosen; do field test "$fault" | tr ' ' '\n'; done | sort -u | tr '\n' ' ')
# shellcheck disable=SC2086
if ! build $tests; then
  tail -n 30 "$work/build.log"
  echo "mutate.sh: the tree does not build" >&2
  exit 2
fi
# shellcheck disable=SC2086
if [ -z "$trust" ] && ! run $tests; then
  cat "$work/test.log"
  echo "mutate.sh: tests fail with no fault planted" >&2
  exit 2
fi

# ---- one fault after the other ----

line='%-28s %-52s %5s\n'
: >"$work/table"
survived=0 unjudged=0
for fault in $chosen; do
  file=$(field file "$fault") names=$(field test "$fault") began=$(date +%s)
  cp "$copy/$file" "$work/intact"
  planted "$fault" "$work/intact" >"$copy/$file"
  # shellcheck disable=SC2086
  if ! build $names; then
    by="nobody: it does not build" unjudged=1
    tail -n 20 "$work/build.log"
  elif run $names; then
    by="NOBODY: it survived $names" survived=$((survived + 1))
  else
    log=$work/test.log
    by=$(sed -n 's/^ *[0-9]*\/[0-9]* Test *#[0-9]*: \([a-z_0-9]*\) .*\*\*\*.*/\1/p' "$log" | head -n 1)
    sentence=$(sed -n 's/^FAILED: //p; s/.*: not so: //p' "$log" | head -n 1)
    [ -n "$sentence" ] || sentence=$(sed -n 's/.*\*\*\*\([A-Za-z]*\).*/\1/p' "$log" | head -n 1)
  fi
  cp "$work/intact" "$copy/$file"
  seconds=$(($(date +%s) - began))
  case $by in [nN][oO][bB]*) said=$by ;; *) said="$by: $sentence" ;; esac
  # shellcheck disable=SC2059
  printf "$line" "$fault" "$said" "$seconds" | tee -a "$work/table"
done

echo
# shellcheck disable=SC2059
printf "$line" "fault" "caught by" "s"
cat "$work/table"
total=$(echo "$chosen" | wc -w)
echo "$total faults, $survived survived"
[ $unjudged = 0 ] || exit 2
[ $survived = 0 ]
