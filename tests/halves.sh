#!/bin/sh
# Runs a test whose cases need nothing of each other as two processes at once: one has the odd cases (of C,
# the odd parts), the other the even ones. ctest calls one test after another, and most of them keep one core
# busy.
# usage: tests/halves.sh PROGRAM arguments...
GALRUN_TEST_HALF=1 "$@" &
GALRUN_TEST_HALF=0 "$@"
even=$?
wait $! && [ $even = 0 ]
