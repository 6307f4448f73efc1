#!/bin/sh
# galrun as installed: `cmake --install` into a folder of its own, and everything runs from there with the
# checkout out of reach: a tmpfs covers it, in a mount namespace of our own, where the system allows one;
# elsewhere only the places that modules come from are compared. Each case's name is a sentence that can be
# false.
# usage: install.sh CMAKE BUILD CHECKOUT; exits with 1 if a case failed
cmake=$1 build=$2 checkout=$3
unset DESTDIR LUA_PATH
work=$(mktemp -d) || exit 1
trap 'rm -rf "$work"' EXIT
cd "$work" || exit 1
prefix=$work/prefix galrun=$work/prefix/bin/galrun share=$work/prefix/share/galrun
passed=0 failed=0

check() { # sentence, condition as words for test
  sentence=$1; shift
  if [ "$@" ]; then passed=$((passed + 1)); return; fi
  failed=$((failed + 1))
  printf 'FAILED: %s\n  exit code %s; it printed: %s\n' "$sentence" "$code" "$(tail -n 20 out)" >&2
}
hidden=
if unshare -Urm sh -c 'mount -t tmpfs tmpfs "$0"' "$checkout" 2>/dev/null; then hidden=yes; fi
[ -n "$hidden" ] || echo "no namespace can be had here: the checkout stays where it is"
run() { # COMMAND...: fills $code, and out with both its outputs
  if [ -n "$hidden" ]; then
    unshare -Urm sh -c 'mount -t tmpfs tmpfs "$0" && exec "$@"' "$checkout" "$@" >out 2>&1
  else
    "$@" >out 2>&1
  fi
  code=$?
}

"$cmake" --install "$build" --prefix "$prefix" >out 2>&1
code=$?
check "cmake --install ends well" "$code" = 0
(cd "$checkout" && find lua experiments -type f | sort) >shipped
(cd "$share" && find lua experiments -type f | sort) >installed
check "the installed library and experiments are those of the checkout" "$(cat installed)" = "$(cat shipped)"
if [ -n "$hidden" ]; then
  run test -e "$checkout/lua"
  check "the checkout is out of reach" "$code" = 1
fi

# Loads every module, and asks each function of each where it was defined.
cat >modules.lua <<'END'
local prefix, known = arg[1], 0
for i = 2, #arg do
  local name = arg[i]:match("^lua/(.*)%.lua$"):gsub("/init$", ""):gsub("/", ".")
  require(name)
end
for name, module in pairs(package.loaded) do
  for _, f in pairs(type(module) == "table" and name:match "^gal" and module or { module }) do
    local source = type(f) == "function" and debug.getinfo(f, "S").source
    if source and source:match "/gal/" then
      known = known + 1
      if source:sub(2, #prefix + 1) ~= prefix then error(name .. " comes from " .. source) end
    end
  end
end
print(known > 100 and "all" or known)
END
# shellcheck disable=SC2046 # one word a module
run "$galrun" modules.lua "$share/lua/gal/" $(grep '^lua/.*\.lua$' installed)
check "every module is loaded from the prefix" "$(cat out)" = all
run "$galrun" -e 'print(require("gal").ones{2}:sum():item())'
check "-e computes" "$(cat out)" = 2
for experiment in "$share"/experiments/*.lua; do
  run "$galrun" "$experiment" --help
  check "$(basename "$experiment") says what it does" "$code" = 0
done
run "$galrun" "$share/experiments/make_survey.lua" --n 64 --out survey
check "a mock survey is made" "$code" = 0
run "$galrun" "$share/experiments/train_photometry.lua" --survey survey --epochs 1 --hidden 16,16 --out run
check "a model is trained on it" "$code" = 0
check "the model is left in its folder" -f run/flow.safetensors
echo "$passed passed, $failed failed"
[ $failed = 0 ]
