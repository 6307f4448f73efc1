#!/bin/sh
# The command line as a user meets it: what galrun prints, where, and with which exit code.
# usage: run.sh GALRUN; exits with 1 if a case failed
# A case is: run ARGS... (fills $out, $err, $code), then checks, each a sentence that can be false.
galrun=$1
acceptance=$(cd "$(dirname "$0")/../acceptance" && pwd)
work=$(mktemp -d) || exit 1
trap 'rm -rf "$work"' EXIT
cd "$work" || exit 1
passed=0 failed=0 input=/dev/null

run() {
  "$galrun" "$@" <"$input" >out 2>err
  code=$?
  out=$(cat out) err=$(cat err) ran="galrun $*"
  input=/dev/null
}
pipe() { printf '%s\n' "$1" >in; shift; input=in; run "$@"; }
fail() { failed=$((failed + 1)); printf 'FAILED: %s\n  ran: %s\n  %s\n' "$1" "$ran" "$2" >&2; }
ok() { passed=$((passed + 1)); }
code() { [ "$code" = "$2" ] && ok || fail "$1" "exit code $code, expected $2; stderr: $err"; }
out() { [ "$out" = "$2" ] && ok || fail "$1" "printed '$out', expected '$2'; stderr: $err"; }
has() { case $3 in *"$2"*) ok ;; *) fail "$1" "'$3' has no '$2'" ;; esac; }
first() {
  line=$(head -n 1 err)
  [ "$line" = "$2" ] && ok || fail "$1" "stderr begins with '$line', expected '$2'"
}
lines() { n=$(wc -l <err); [ "$n" -eq "$2" ] && ok || fail "$1" "$n lines on stderr, expected $2: $err"; }

# A compiled loop heeds no signal: TERM ends it all the same, some seconds later. Looked at far below.
"$galrun" -e 'io.open("turns", "w"):close() require("jit").on(true, true)
  assert(loadstring "local n = 0 while true do n = n + 1 end")()' 2>heedless.err & heedless=$!

# ---- instruction sets ----
isa='require "gal" print(require("ffi").string(require("ffi").C.gal_cpu_isa()))'
for name in SSE41 AVX; do
  DNNL_MAX_CPU_ISA=$name run -e "$isa"
  out "a limit to oneDNN's instructions limits galrun's: $name" plain
done
DNNL_MAX_CPU_ISA=AVX2 run -e "$isa"
case $out in avx2 | plain) ok ;; *) fail "DNNL_MAX_CPU_ISA=AVX2 leaves AVX-512" "$out" ;; esac
DNNL_MAX_CPU_ISA=AVX2 GALRUN_ISA=plain run -e "$isa"; out "GALRUN_ISA stands above it" plain

[ -f turns ] && kill -TERM $heedless

# ---- scripts and errors ----
echo 'print("hello", ...)' >hello.lua
run hello.lua a 'b c'
out "a script gets its arguments" "hello	a	b c"; code "a script that ends well exits with 0" 0
echo 'for i = 0, #arg do io.write(arg[i], ";") end' >arg.lua
run arg.lua x --name y; out "arg holds the script's name and its arguments" "arg.lua;x;--name;y;"
printf 'local x = 1\n\nlocal function f()\n  error("no galaxies")\nend\nf()\n' >fails.lua
run fails.lua
code "an error exits with 1" 1
first "the message comes first, with the script's name and line" "fails.lua:4: no galaxies"
has "a traceback follows" "stack traceback:" "$err"
has "the traceback names the calling line" "fails.lua:6:" "$err"
n=$(grep -c "no galaxies" err); [ "$n" = 1 ] && ok || fail "the message stands once" "$n times"
printf 'local gal = require "gal"\ngal.zeros("x")\n' >wrong.lua
run wrong.lua
first "an error of the library's is told at the user's line" \
  'wrong.lua:2: zeros: shape is the string "x", expected a table such as {2, 3}'
lines "without the library's own calls, and how they are had" 2
has "how they are had is told" "galrun --trace" "$err"
run --trace wrong.lua; has "--trace shows the library's own calls" "in function 'zeros'" "$err"
printf 'x = = 1\n' >syntax.lua
run syntax.lua; code "a syntax error exits with 1" 1
has "a syntax error names its line" "syntax.lua:1:" "$err"
echo 'error({galaxy = "1237648720693755918"})' >table.lua
run table.lua; code "an error that is a table exits with 1" 1
has "an error that is a table is shown" '1237648720693755918' "$err"
echo 'error(setmetatable({}, {__tostring = function() return "my own words" end}))' >words.lua
run words.lua; first "an error with __tostring is told in its words" "my own words"
echo 'error()' >nothing.lua
run nothing.lua; code "an error without a value exits with 1" 1
has "an error without a value is said to be that" "nil" "$err"
printf 'local function f() return 1 + f() end\nf()\n' >deep.lua
run deep.lua; code "a stack overflow exits with 1" 1; has "a stack overflow is told" "stack overflow" "$err"
run none.lua
code "a script that is missing exits with 2" 2
lines "a missing script is told in one sentence" 1
has "a missing script is named" "none.lua" "$err"
run "$work"; code "a folder is no script" 2; has "a folder is called one" "directory" "$err"
echo 'os.exit(7)' >exit.lua; run exit.lua; code "os.exit's code is the process's" 7
for least in 1 3; do
  printf 'local r = dofile("%s/report.lua").new("a run")\nr:least("figure", 2, %d)\nr:finish()' \
    "$acceptance" "$least" >bars.lua
  run bars.lua
  code "an acceptance run exits with 1 where a bar is not reached: 2, at least $least" $((least / 2))
done
pipe 'print("from stdin", ...)' - a; out "galrun - runs standard input as the script" "from stdin	a"
mkdir -p sub
echo 'return {answer = 42}' >sub/neighbour.lua
echo 'print(require("neighbour").answer)' >sub/main.lua
run sub/main.lua; out "a script finds modules beside it" 42
cd sub || exit 1
run main.lua; out "also where it is named without a folder" 42
cd ..
echo 'return {answer = 13}' >stray.lua
for place in -e prompt script; do
  case $place in
    -e) run -e 'print(pcall(require, "stray"))' ;;
    prompt) pipe 'print(pcall(require, "stray"))' ;;
    script) echo 'print(pcall(require, "stray"))' >sub/lost.lua; run sub/lost.lua ;;
  esac
  has "the current folder is not searched for modules: $place" "module 'stray' not found" "$out"
done
LUA_PATH='./?.lua;;' run -e 'print(require("stray").answer)'
out "unless LUA_PATH names it" 13
printf '#!/usr/bin/env galrun\nprint("shebang")\n' >bang.lua; run bang.lua
out "a first line with #! is skipped" shebang
if [ -c /dev/full ]; then
  "$galrun" -e 'print(1)' >/dev/full 2>err; code=$?; err=$(cat err) ran="galrun >/dev/full"
  code "output that can't be written is an error" 1; has "and is told" "standard output" "$err"
fi

# ---- options ----
run --version; code "--version exits with 0" 0; has "--version names the program" "galrun 0." "$out"
run --help; code "--help exits with 0" 0
for word in -e -i -l --device --threads --seed --pictures --trace --version --help; do
  has "--help lists $word" "$word" "$out"
done
run -e 'x = 3' -e 'print(x + 1)'; out "several -e run in order" 4
run -e 'print(gal.version)'; [ -n "$out" ] && ok || fail "-e knows gal" "$err"
run -e 'print(1)' -e 'error("boom")'; code "an error in -e exits with 1" 1
first "an error in -e names its place" "(-e):1: boom"
run -e '
error("boom")'; first "an error in -e names its line" "(-e):2: boom"
run -e 'x = "before"' hello.lua; out "-e runs before the script" "hello"
run -l gal.cli -e 'print(type(cli.options))'
out "-l requires a module and names it by its last part" function
run -l nosuch; code "-l of a module that is missing exits with 1" 1
has "-l of a missing module names it" "nosuch" "$err"
show='local h = require "gal.host" print(h.device, h.threads, h.seed, h.interactive)'
echo "$show io.write(#arg, ' ', table.concat(arg, ','))" >host.lua
run -e "$show"; out "the defaults are cpu, the machine's threads, seed 0" "cpu	nil	0	false"
run --device cpu --threads 2 --seed 5 host.lua; out "options before the script are galrun's" "cpu	2	5	false
0 "
run host.lua --seed 7 a --threads=1 --device=cpu b
out "the three after the script are taken out of arg" "cpu	1	7	false
2 a,b"
run host.lua a -- --seed 7; out "after -- nothing is taken out" "cpu	nil	0	false
4 a,--,--seed,7"
run --threads 1 -e 'print(require("ffi").C.gal_threads(0))'; out "--threads sets the threads of the CPU" 1
run --sed 4; code "an unknown option exits with 2" 2; lines "an unknown option is told in one sentence" 1
has "an unknown option names a near miss" "--seed" "$err"
run --frobnicate; code "an option like none exits with 2" 2
has "an option like none points to --help" "--help" "$err"
run -x; code "an unknown letter exits with 2" 2
for bad in "--seed x" "--seed -1" "--seed 1.5" --seed "--threads 0" "--threads many" "--device gpu" \
  "--pictures png" -e -l; do
  run $bad; code "$bad exits with 2" 2; lines "$bad is told in one sentence" 1
  has "$bad names the option" "${bad%% *}" "$err"
done
run host.lua --seed x; code "a wrong value after the script exits with 2" 2
has "a wrong value after the script is named" "'x'" "$err"
if "$galrun" -e 'os.exit(require("ffi").C.gal_device_open("cuda") == 0 and 0 or 1)' 2>/dev/null; then :; else
  run --device cuda -e 'print(1)'; code "--device cuda without one exits with 1" 1
  lines "--device cuda without one is told in one sentence" 1
  has "--device cuda without one is named" "cuda" "$err"; out "nothing runs then" ""
fi

# ---- from anywhere ----
ln -s "$galrun" linked
ran=linked found=$(cd / && "$work/linked" -e 'print(type(require "gal.cli"))' 2>&1)
[ "$found" = table ] && ok || fail "galrun finds its library through a link, from any folder" "$found"

# ---- experiments' options (gal.cli) ----
cat >experiment.lua <<'LUA'
-- Trains on a survey folder.
local o = require("gal.cli").options{
  {"survey", "here", "a folder"}, epochs = 200, lr = {5e-4, "learning rate"}, resume = false,
  theta = {{"a", "b"}, "columns"}, seed = 0,
}
print(o.survey, o.epochs, o.lr, o.resume, table.concat(o.theta, "+"), o.seed)
LUA
run experiment.lua; out "an experiment's defaults stand" "here	200	0.0005	false	a+b	0"
run experiment.lua --epochs 3 --lr=1e-3 --resume --theta=dn,mass --seed 9 --survey /data
out "an experiment takes --name value and --name=value" "/data	3	0.001	true	dn+mass	9"
run experiment.lua --help; code "an experiment's --help exits with 0" 0
has "an experiment's --help tells what it does" "Trains on a survey folder." "$out"
has "an experiment's --help shows defaults" "default: 200" "$out"
run experiment.lua --epoch 3; code "an experiment refuses unknown options with 2" 2
has "and names the near miss" "--epochs" "$err"; lines "in one sentence" 1
cat >refuse.lua <<'LUA'
local cli = require "gal.cli"
cli.options{}
if arg[1] == nil then cli.refuse("--real %s holds no images", "here") end
LUA
run refuse.lua; code "what a script refuses exits with 1" 1
first "it is told in its words" "--real here holds no images"
lines "and in nothing else" 1
run experiment.lua --epochs many; code "an experiment refuses a text for a number" 2
has "and names what it was" "'many'" "$err"

# ---- piped ----
pipe 'x = 3
for i = 1, 2 do
  print(i)
end
x + 1
= x
"text", nil
x = nil'
out "a pipe is read chunk by chunk and values are printed, without prompts" '1
2
4
3
"text"
nil'
code "a pipe that ends well exits with 0" 0; [ -z "$err" ] && ok || fail "a pipe writes nothing else" "$err"
pipe 'local a = 5
local function twice(x)
  return 2 * x
end
local b, c
twice(a)'; out "a local at the prompt stays" 10
pipe 'error("first")
print("second")'
out "after an error the pipe goes on" second; code "a pipe with an error exits with 1" 1
first "an error names its line in the pipe" "stdin:1: first"
pipe '

print(1)
nothing.x'
first "an expression's error names its line in the pipe" \
  "stdin:4: attempt to index global 'nothing' (a nil value)"
pipe 'for i = 1, 2 do'; code "a pipe that ends inside a chunk exits with 1" 1
has "and says so" "<eof>" "$err"
pipe '_ = 1
41
_ + 1'; out "_ is the last value" "41
42"
pipe 'exit(4)
print("still here")'; code "exit(code) leaves" 4; out "exit leaves at once" ""
pipe 'x' -i -e 'x = "kept"'; out "-i after -e sees what it made" '"kept"'
pipe 'print("still")' -i fails.lua; out "-i comes after a script that failed" still
code "and the exit code is still 1" 1
pipe '?gal.cli'; has "?module shows what its file opens with" "cli: what experiments say" "$out"
pipe '?require("gal.cli").table'; has "?function shows the comment above it" "The text of a table" "$out"
pipe '?nosuch'; has "?name of nothing says so" "nosuch" "$out"; code "asking is no error" 0

# ---- Ctrl-C ----
# interrupt PAUSE ARGS...: sends SIGINT once the program has made the file `ready`, and again every PAUSE
# seconds until it ends; $sent counts.
interrupt() {
  pause=$1; shift
  rm -f ready
  "$galrun" "$@" >out 2>err </dev/null & pid=$!
  for _ in $(seq 200); do [ -f ready ] && break; sleep 0.1; done
  sleep 0.2; sent=0
  while [ $sent -lt 5 ] && kill -INT $pid 2>/dev/null; do
    sent=$((sent + 1))
    for _ in $(seq "$pause"0); do sleep 0.1; kill -0 $pid 2>/dev/null || break; done
  done
  kill -KILL $pid 2>/dev/null
  wait $pid; code=$?
  out=$(cat out) err=$(cat err) ran="galrun $*, interrupted $sent times"
}
echo 'return function() io.open("ready", "w"):close() end' >ready.lua
printf 'dofile("ready.lua")() jit.off()\nwhile true do end\n' >slow.lua
interrupt 1 slow.lua; code "Ctrl-C ends a script with 130" 130
[ $sent = 1 ] && ok || fail "one Ctrl-C ends an interpreted loop in a second" "$sent"
has "Ctrl-C is told" "interrupted" "$err"
case $err in *traceback*) fail "Ctrl-C shows no traceback" "$err" ;; *) ok ;; esac
printf 'dofile("ready.lua")() local n = 0\nwhile true do n = n + 1 end\n' >tight.lua
interrupt 1 tight.lua; code "two Ctrl-C end a compiled loop with 130" 130
[ $sent -ge 2 ] && ok || fail "one Ctrl-C does not reach a compiled loop, two end it" "$sent"
interrupt 1 -e 'dofile("ready.lua")() local n = 0 while true do n = n + 1 end'
code "Ctrl-C ends -e with 130" 130
[ $sent = 1 ] && ok || fail "one Ctrl-C ends a loop in -e" "$sent"
cat >catch.lua <<'LUA'
jit.off()
dofile("ready.lua")()
local ok, e = pcall(function() while true do end end)
local gal = package.loaded.gal or {}
print(ok, e == require("gal.host").interrupted or e == gal.interrupted, tostring(e))
LUA
interrupt 1 catch.lua
out "a script can catch the interrupt by its value" "false	true	interrupted"
code "and end well" 0

# ---- TERM and USR1 ----
# ends CODE SENTENCE TOLD: a script is sent $signals one behind the other, and ends.
ends() {
  rm -f ready
  "$galrun" tidy.lua >out 2>err </dev/null & pid=$!
  for _ in $(seq 200); do [ -f ready ] && break; sleep 0.1; done
  for signal in $signals; do kill -"$signal" $pid; done
  wait $pid; code=$? out=$(cat out) ran="galrun tidy.lua, sent $signals"
  code "$2" "$1"; first "and it says by what: $signals" "$3"
}
cat >tidy.lua <<'LUA'
jit.off()
dofile("ready.lua")()
local ok, e = pcall(function() while true do end end)
local last = os.clock() + .2 -- a second signal may come a moment later
while os.clock() < last do end
print("tidied", require("gal.host").signal())
error(e, 0)
LUA
signals=TERM; ends 143 "TERM is one Ctrl-C, and ends with 143" "interrupted by TERM"
out "what a script does on its way out is done" "tidied	TERM"
signals=USR1; ends 75 "USR1 ends with 75" "interrupted by USR1: there is more to do"
out "and it knows the signal" "tidied	USR1"
signals="TERM TERM"; ends 143 "TERM twice, as batch systems send it, is TERM" "interrupted by TERM"
signals="USR1 TERM"; ends 143 "the last one counts" "interrupted by TERM"
wait $heedless; code=$? ran="a compiled loop, sent TERM"
code "TERM ends what does not heed it" 143
has "and that is told" "nothing heeded it" "$(cat heedless.err)"

# Ctrl-C right behind a call that leaves something half changed: send is sheltered as its callers are.
cat >send.lua <<'LUA'
require("gal.host").shelter()
local ffi = require "ffi"
ffi.cdef "int raise(int);"
return function(out)
  if out then out[0] = ffi.cast("void *", 8) end
  ffi.C.raise(2)
  return 0
end
LUA
cat >shelter.lua <<'LUA'
jit.off()
local ffi, gal, send = require "ffi", require "gal", require "send"
local collect, core = require "gal.base.collect", require "gal.tensor"
local freed, x = 0, nil
local function free() freed = freed + 1 end
local function pressed(...) return select(2, pcall(...)) == gal.interrupted end
local function stale()
  gal.scope(function() x = gal.ones{ 1 } end)
  return not pcall(x.item, x)
end
local cases = {
  handle = function()
    local seen = pressed(function() local h = collect.handle(free, ffi.new "void *[1]", send) return h end)
    collectgarbage() collectgarbage()
    return seen and freed == 1
  end,
  outside = function() return pressed(gal.scope, function() core.outside(send) end) and stale() end,
  tape = function()
    local seen = pressed(function() gal.no_grad(send) end)
    return seen and (gal.ones{ 1 }:requires_grad() * 2):backward() == nil
  end,
  scope = function() return pressed(function() gal.scope(send) end) and stale() end,
}
print(cases[...]())
LUA
for case in handle outside tape scope; do
  run shelter.lua $case; out "Ctrl-C leaves nothing half changed: $case" true
done

echo "$passed passed, $failed failed"
[ $failed = 0 ]
