"""Sampling and exact densities (bench_flows) beside PyTorch and JAX, interleaved in one run; prints medians
and ratios.

W3: one evaluation of the velocity net for one row inside an RK4 loop, photometry (11 inputs) and image model
(267), three hidden layers of 256, silu; W4: the same of the photometry model with the exact divergence, five
tangents. Every row has a context of its own. Each peer runs with the fastest of three batches, found before
the first round. The peer is the fastest float32 mode of either, also for galrun's bfloat16.

usage: flows.py path/to/bench_flows [--rounds 7] [--threads 2] [--realtime]
--realtime: every contender runs in real-time class while it is measured, which keeps other processes out (as
root; they stand still for half a second at a time).
Needs torch and jax for the peers; a mode that isn't there is left out."""
import argparse, json, os, statistics, time
import contest

WORKS = ("w3p", "w3i", "w4")
PEERS = ("torch", "torch compile", "jax")
INPUTS = {"w3p": 11, "w3i": 267, "w4": 11}
BATCHES = {"w3p": (1000, 4000, 16000), "w3i": (1000, 4000, 16000), "w4": (256, 1000, 4000)}
STEPS = 3
H = 1 / 100  # RK4 with 100 steps; STEPS of them are timed


def rk4(f, t, y):
    add = lambda y, c, k: tuple(a + c * b for a, b in zip(y, k))
    k1 = f(t, y)
    k2 = f(t + H / 2, add(y, H / 2, k1))
    k3 = f(t + H / 2, add(y, H / 2, k2))
    k4 = f(t + H, add(y, H, k3))
    return tuple(a + H / 6 * (p + 2 * q + 2 * r + s) for a, p, q, r, s in zip(y, k1, k2, k3, k4))


def torch_work(mode, threads, work, batch):
    import torch
    torch.set_num_threads(threads)
    torch.manual_seed(0)
    widths = (INPUTS[work], 256, 256, 256, 5)
    net = [torch.nn.Linear(a, b) for a, b in zip(widths, widths[1:])]
    context, theta = torch.randn(batch, widths[0] - 6), torch.randn(batch, 5)

    def velocity(t, theta):
        x = torch.cat([t.expand(len(theta), 1), theta, context], 1)
        for layer in net[:-1]:
            x = torch.nn.functional.silu(layer(x))
        return net[-1](x)

    def with_divergence(t, theta):
        z = net[0](torch.cat([t.expand(len(theta), 1), theta, context], 1))
        tangents = net[0].weight[:, 1:6].t()[:, None, :]
        for layer in net[1:]:
            s = torch.sigmoid(z)
            tangents = (tangents * (s * (1 + z * (1 - s)))) @ layer.weight.t()
            z = layer(z * s)
        return z, tangents.diagonal(dim1=0, dim2=2).sum(1)
    f = with_divergence if work == "w4" else velocity
    f = torch.compile(f) if "compile" in mode else f
    field = (lambda t, y: f(t, y[0])) if work == "w4" else (lambda t, y: (f(t, y[0]),))

    def run():
        with torch.no_grad():
            y = (theta, torch.zeros(batch)) if work == "w4" else (theta,)
            for i in range(STEPS):
                y = rk4(field, torch.tensor([[i * H]]), y)
    return run


def jax_work(mode, threads, work, batch):
    import jax, jax.numpy as jnp
    from jax import lax, random as R
    key, widths = R.key(0), (INPUTS[work], 256, 256, 256, 5)
    def layer(i):
        return R.normal(R.fold_in(key, i), widths[i:i + 2]) / widths[i] ** 0.5, jnp.zeros(widths[i + 1])

    net = [layer(i) for i in range(4)]
    context, theta = R.normal(R.key(1), (batch, widths[0] - 6)), R.normal(R.key(2), (batch, 5))

    def velocity(net, context, t, theta):
        x = jnp.concatenate([jnp.full((batch, 1), t), theta, context], 1)
        for w, b in net[:-1]:
            x = jax.nn.silu(x @ w + b)
        return (x @ net[-1][0] + net[-1][1],)

    def with_divergence(net, context, t, theta):
        z = jnp.concatenate([jnp.full((batch, 1), t), theta, context], 1) @ net[0][0] + net[0][1]
        tangents = jnp.broadcast_to(net[0][0][1:6][:, None, :], (5, batch, 256))
        for w, b in net[1:]:
            s = jax.nn.sigmoid(z)
            tangents, z = (tangents * (s * (1 + z * (1 - s)))) @ w, (z * s) @ w + b
        return z, jnp.trace(tangents, axis1=0, axis2=2)
    f = with_divergence if work == "w4" else velocity

    @jax.jit
    def solve(net, context, y):
        return lax.fori_loop(0, STEPS, lambda i, y: rk4(lambda t, y: f(net, context, t, y[0]), i * H, y), y)
    start = (theta, jnp.zeros(batch)) if work == "w4" else (theta,)
    return lambda: jax.block_until_ready(solve(net, context, start))


def seconds(run, batch):
    """Microseconds a row-evaluation."""
    start, n = time.perf_counter(), 0
    while n == 0 or time.perf_counter() - start < 0.2:
        run()
        n += 1
    return (time.perf_counter() - start) / (n * STEPS * 4 * batch) * 1e6


def serve(mode, threads, realtime):
    """Answers a work's name with how many microseconds one evaluation of one row took."""
    os.sched_setaffinity(0, set(sorted(os.sched_getaffinity(0))[:threads]))  # XLA takes the cores it is given
    best = {}
    for work in WORKS:
        tried = []
        for batch in BATCHES[work]:
            run = (jax_work if mode == "jax" else torch_work)(mode, threads, work, batch)
            run()
            tried.append((min(seconds(run, batch) for _ in range(2)), batch, run))
        best[work] = min(tried, key=lambda x: x[0])[1:]

    def answer(work):
        batch, run = best[work]
        run()
        return seconds(run, batch)
    contest.serve(answer, realtime, json.dumps({w: b for w, (b, _) in best.items()}))


def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("bench", nargs="?")
    contest.arguments(p, 7, PEERS)
    o = p.parse_args()
    if o.peer:
        return serve(o.peer, o.threads, o.realtime)
    if not o.bench:
        p.error("where is bench_flows?")
    peers, batches = {}, {}
    for mode in PEERS:
        child = contest.start_peer(__file__, mode, o.threads, o.realtime)
        if child:
            peers[mode], batches[mode] = child, json.loads(child.told)
    times, own = {w: {m: [] for m in peers} for w in WORKS}, []
    try:
        for _ in range(o.rounds):
            for work in WORKS:
                for mode, child in peers.items():
                    times[work][mode].append(contest.ask(child, work))
            own.append(contest.galrun([o.bench, "--rounds", "1", "--threads", str(o.threads)], o.realtime))
    finally:
        for child in peers.values():
            child.kill()
    middle = lambda work, threads, i: statistics.median(r[work][threads][i] for r in own)
    print(f"W3 and W4, {o.rounds} rounds, {o.threads} threads; load {os.getloadavg()[0]:.1f}; medians, "
          "us a row-evaluation; share: of the FMA peak measured right behind it")
    print(f"{'':24s} {'1 thread':>9s} {'share':>6s} {str(o.threads) + ' threads':>10s} {'share':>6s}  "
          "times as fast as the peer")
    titles = {"w3p": "W3 photometry", "w3pb": "W3 photometry, bf16", "w3r": "W3 photometry, relu",
              "w3i": "W3 image", "w3ib": "W3 image, bf16", "w4": "W4 photometry"}
    for work, title in titles.items():
        all_threads, base = middle(work, 1, 0), {"w3pb": "w3p", "w3ib": "w3i"}.get(work, work)
        ratio = ""
        if peers and base in times:
            peer = min(peers, key=lambda m: statistics.median(times[base][m]))
            ratio = f"{statistics.median(times[base][peer]) / all_threads:.2f} ({peer})"
        print(f"{title:24s} {middle(work, 0, 0):9.3f} {middle(work, 0, 1):6.0%} {all_threads:10.3f} "
              f"{middle(work, 1, 1):6.0%}  {ratio}")
    for mode in peers:
        print(f"{mode:24s} " + ", ".join(
            f"{w} {statistics.median(times[w][mode]):.3f} (min {min(times[w][mode]):.3f}, "
            f"batch {batches[mode][w]})" for w in WORKS))


if __name__ == "__main__":
    main()
