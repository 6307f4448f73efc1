#!/bin/sh
# The prompt as a person meets it, in a terminal.
# usage: terminal.sh TERMINAL GALRUN DIALOGUES; exits with 1 if a dialogue failed
terminal=$1 galrun=$2 dialogues=$3
HOME=$(mktemp -d) || exit 1
trap 'rm -rf "$HOME"' EXIT
XDG_STATE_HOME=$HOME/state TERM=xterm LC_ALL=C.UTF-8
mkdir "$XDG_STATE_HOME"
export HOME XDG_STATE_HOME TERM LC_ALL
failed=0
unset NO_COLOR TMUX TERM_PROGRAM LC_TERMINAL
cd "$HOME" || exit 1
"$terminal" "$dialogues/prompt.txt" "$galrun" || failed=1
history=$XDG_STATE_HOME/galrun_history
fail() { echo "FAILED: $1"; failed=1; }
[ "$(stat -c %a "$history")" = 600 ] || fail "the history is a file that only its owner reads"
"$terminal" "$dialogues/quit.txt" "$galrun" || failed=1
echo 'jit.off() made = "here" print("started") while true do end' >"$HOME/made.lua"
"$terminal" "$dialogues/script.txt" "$galrun" -i "$HOME/made.lua" || failed=1
for dialogue in edit pictures silent; do
  "$terminal" "$dialogues/$dialogue.txt" "$galrun" || { echo "FAILED: $dialogue"; failed=1; }
done
before=$(cat "$history")
echo '1 + 1' | "$galrun" >/dev/null
[ "$before" = "$(cat "$history")" ] || fail "a pipe writes no history"
exit $failed
