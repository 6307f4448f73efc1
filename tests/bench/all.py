"""Works W1 to W4 beside PyTorch and JAX and beside the FMA peak of the same run, then how sampling and
densities grow with their numbers. One command:

    ninja -C build bench_w1 bench_w2 bench_flows
    python3 tests/bench/all.py build/tests [--rounds 7] [--threads 2] [--realtime]

W1, W2: a training step of the photometry and of the image model (w1.py, w2.py); W3, W4: sampling and exact
densities (flows.py). Contenders are interleaved within each work; medians of at least seven rounds. Without
torch and jax it prints galrun's own figures and the peak. --realtime: every contender runs in real-time class
while it is measured, which keeps other processes out (as root; they stand still for about a second at a
time)."""
import argparse, os, subprocess, sys


def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("folder", help="where the bench_ programs are")
    p.add_argument("--rounds", type=int, default=7)
    p.add_argument("--threads", type=int, default=len(os.sched_getaffinity(0)))
    p.add_argument("--realtime", action="store_true")
    o = p.parse_args()
    if o.rounds < 7:
        p.error(f"--rounds is {o.rounds}, expected at least 7")
    for program in ("bench_w1", "bench_w2", "bench_flows"):
        if not os.access(os.path.join(o.folder, program), os.X_OK):
            p.error(f"{program} is not in {o.folder}, expected it built: ninja -C build {program}")
    here = os.path.dirname(os.path.abspath(__file__))
    options = ["--rounds", str(o.rounds), "--threads", str(o.threads)]
    for script, program in (("w1.py", "bench_w1"), ("w2.py", "bench_w2"), ("flows.py", "bench_flows")):
        print(f"\n---- {script}", flush=True)
        command = [sys.executable, os.path.join(here, script), os.path.join(o.folder, program)]
        subprocess.run(command + options + ["--realtime"] * o.realtime, check=True)
    print("\n---- bench_flows --grow", flush=True)
    first = ["chrt", "-f", "50"] if o.realtime else []
    subprocess.run(first + [os.path.join(o.folder, "bench_flows"), "--grow"] + options, check=True)


if __name__ == "__main__":
    main()
