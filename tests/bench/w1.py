"""One training step of the photometry model (bench_w1) beside PyTorch and JAX, interleaved in one run; prints
medians and ratios.

The work: MLP 11-256-256-256-5 with silu, batch 64, draws of theta_0, t and eps, the flow-matching path, mean
squared error, AdamW. bench_w1 also picks its batch from a table of 65,536 rows, which the peers don't have
to. The peer is the fastest of all their modes, with all threads and with one (on two cores that share no
cache, one is the faster).

usage: w1.py path/to/bench_w1 [--rounds 7] [--steps 500] [--threads 2] [--busy] [--realtime]
--busy: another process computes all the while, so that one core of two is taken. --realtime: contenders run
in real-time class while they are measured (as root).
Needs torch and jax; a mode that isn't there is left out."""
import argparse, os, statistics, subprocess, sys, time
import contest

BATCH, WIDTHS, SIGMA, RATE, DECAY = 64, (11, 256, 256, 256, 5), 0.05, 5e-4, 1e-2
PEERS = ("torch", "torch fused", "torch compile fused", "jax")


def torch_step(mode, threads):
    import torch
    torch.set_num_threads(threads)
    layers = []
    for i in range(4):
        layers += [torch.nn.Linear(WIDTHS[i], WIDTHS[i + 1])] + ([torch.nn.SiLU()] if i < 3 else [])
    net = torch.nn.Sequential(*layers)
    optimiser = torch.optim.AdamW(net.parameters(), lr=RATE, weight_decay=DECAY,
        fused=True if "fused" in mode else None)
    theta, context = torch.randn(BATCH, 5), torch.randn(BATCH, 5)

    def loss(theta_0, t, eps):
        theta_t = (1 - t) * theta_0 + t * theta + SIGMA * eps
        return ((net(torch.cat([t, theta_t, context], 1)) - (theta - theta_0)) ** 2).mean()
    loss = torch.compile(loss) if "compile" in mode else loss

    def steps(n):
        for _ in range(n):
            optimiser.zero_grad(set_to_none=True)
            loss(torch.randn(BATCH, 5), torch.rand(BATCH, 1), torch.randn(BATCH, 5)).backward()
            optimiser.step()
    return steps


def jax_step(mode, threads):
    os.sched_setaffinity(0, set(sorted(os.sched_getaffinity(0))[:threads]))  # XLA takes the cores it is given
    import jax, jax.numpy as jnp
    from jax import random as R
    key = R.key(0)
    def layer(i):
        return R.normal(R.fold_in(key, i), WIDTHS[i:i + 2]) / WIDTHS[i] ** 0.5, jnp.zeros(WIDTHS[i + 1])

    net = [layer(i) for i in range(4)]
    theta, context = R.normal(R.key(1), (BATCH, 5)), R.normal(R.key(2), (BATCH, 5))

    def loss(net, key):
        a, b, c = R.split(key, 3)
        theta_0, t = R.normal(a, (BATCH, 5)), R.uniform(b, (BATCH, 1))
        x = jnp.concatenate([t, (1 - t) * theta_0 + t * theta + SIGMA * R.normal(c, (BATCH, 5)), context], 1)
        for i, (w, b) in enumerate(net):
            x = x @ w + b
            x = jax.nn.silu(x) if i < 3 else x
        return ((x - (theta - theta_0)) ** 2).mean()

    @jax.jit
    def step(p, m, v, t, key):
        key, a = R.split(key)
        g, t = jax.grad(loss)(p, a), t + 1
        m = jax.tree.map(lambda m, g: 0.9 * m + 0.1 * g, m, g)
        v = jax.tree.map(lambda v, g: 0.999 * v + 0.001 * g * g, v, g)
        a, b = 1 - 0.9 ** t, 1 - 0.999 ** t
        def moved(p, m, v):
            return p * (1 - RATE * DECAY) - RATE * (m / a) / (jnp.sqrt(v / b) + 1e-8)

        p = jax.tree.map(moved, p, m, v)
        return p, m, v, t, key
    zeros = jax.tree.map(jnp.zeros_like, net)
    state = [net, zeros, zeros, jnp.float32(0), key]

    def steps(n):
        for _ in range(n):
            state[:] = step(*state)
        jax.block_until_ready(state)
    return steps


def serve(mode, threads, realtime):
    """Answers a number of steps with how many microseconds one took."""
    steps = (jax_step if mode == "jax" else torch_step)(mode, threads)
    steps(50)

    def answer(n):
        steps(10)
        start = time.perf_counter()
        steps(int(n))
        return (time.perf_counter() - start) / int(n) * 1e6
    contest.serve(answer, realtime)


def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("bench", nargs="?")
    p.add_argument("--steps", type=int, default=500)
    p.add_argument("--busy", action="store_true")
    contest.arguments(p, 7, PEERS)
    o = p.parse_args()
    if o.peer:
        return serve(o.peer, o.threads, o.realtime)
    if not o.bench:
        p.error("where is bench_w1?")
    peers = {}
    for mode in PEERS:
        for threads in sorted({1, o.threads}):
            child = contest.start_peer(__file__, mode, threads, o.realtime)
            if child:
                peers[f"{mode}, {threads}"] = child
    hog = subprocess.Popen([sys.executable, "-c", "while True: pass"]) if o.busy else None
    times = {}
    try:
        for _ in range(o.rounds):
            for mode, child in peers.items():
                times.setdefault(mode, []).append(contest.ask(child, o.steps))
            command = [o.bench, "--rounds", "1", "--steps", str(o.steps), "--threads", str(o.threads)]
            own = contest.galrun(command, o.realtime)
            times.setdefault("galrun, 1", []).append(own["one"])
            times.setdefault(f"galrun, {o.threads}", []).append(own["all"])
    finally:
        for child in list(peers.values()) + ([hog] if hog else []):
            child.kill()
    median = {k: statistics.median(v) for k, v in times.items()}
    print(f"W1, {o.rounds} rounds of {o.steps} steps{', one core busy' if o.busy else ''}; "
          f"load {os.getloadavg()[0]:.1f}; FMA peak of one core {own['peak']:.0f} GF/s; "
          f"products {own['megaflop']:.1f} MF; behind each name its threads")
    for k, v in times.items():
        print(f"{k:24s} min {min(v):8.1f}  median {median[k]:8.1f}  max {max(v):8.1f} us/step")
    if peers:
        peer = min(peers, key=median.get)
        for k in (k for k in times if k.startswith("galrun")):
            print(f"{k}: {median[peer] / median[k]:.2f} times as fast as the peer ({peer}); medians")


if __name__ == "__main__":
    main()
