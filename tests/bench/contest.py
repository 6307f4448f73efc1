"""What w1.py, w2.py and flows.py share: every contender is a process of its own that waits between its turns,
so that no two thread pools are awake at once."""
import json, os, subprocess, sys


def into_realtime():
    """Every thread of this process in real-time class: others stand still while it computes. Needs root."""
    for thread in os.listdir("/proc/self/task"):
        os.sched_setscheduler(int(thread), os.SCHED_FIFO, os.sched_param(50))


def start_peer(script, mode, threads, realtime):
    """The script as the peer `mode`, once it has said "ready"; `told` is what it said after that word. None
    where its library isn't here."""
    command = [sys.executable, script, "--peer", mode, "--threads", str(threads)]
    child = subprocess.Popen(command + ["--realtime"] * realtime, stdin=subprocess.PIPE,
                             stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
    said = child.stdout.readline().split(maxsplit=1)
    if not said or said[0] != "ready":
        print(f"{mode}: not here", flush=True)
        return None
    child.told = said[1] if len(said) > 1 else ""
    return child


def ask(child, question):
    child.stdin.write(f"{question}\n")
    child.stdin.flush()
    return float(child.stdout.readline())


def serve(answer, realtime, told=""):
    """A peer: says ready, then for every line on stdin prints answer(line)."""
    if realtime:
        into_realtime()
    print("ready", told, flush=True)
    for line in sys.stdin:
        print(answer(line.strip()), flush=True)


def galrun(command, realtime):
    """What a bench_ program prints with --json."""
    first = ["chrt", "-f", "50"] if realtime else []
    done = subprocess.run(first + command + ["--json"], check=True, capture_output=True, text=True)
    return json.loads(done.stdout)


def arguments(parser, rounds, peers):
    """--rounds, --threads, --realtime and --peer for all of them."""
    parser.add_argument("--rounds", type=int, default=rounds)
    parser.add_argument("--threads", type=int, default=len(os.sched_getaffinity(0)))
    parser.add_argument("--realtime", action="store_true")
    parser.add_argument("--peer", choices=peers, help="(for itself)")
