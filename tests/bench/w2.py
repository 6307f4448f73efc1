"""One training step of the image model (bench_w2) beside PyTorch and JAX, interleaved in one run; prints
medians and ratios.

The work: four blocks of 3 x 3 convolution (32, 64, 128, 256), silu and 2 x 2 means on 128 x 128 x 3, means
over all pixels, MLP 267-256-256-256-5, the draws and the path of flow matching, mean squared error, AdamW;
batch 64, float32, channels last. --bf16: the same with convolutions (the peers: all products) of bfloat16.

usage: w2.py path/to/bench_w2 [--bf16] [--rounds 5] [--steps 2] [--threads 2] [--realtime]
Needs torch and jax; a mode that isn't there is left out."""
import argparse, os, statistics, time
import contest

BATCH, SIZE, CHANNELS, WIDTHS = 64, 128, (3, 32, 64, 128, 256), (267, 256, 256, 256, 5)
SIGMA, RATE, DECAY = 0.05, 5e-4, 1e-2
PEERS = {False: ("torch fused", "torch compile fused", "jax"),
         True: ("torch fused bf16", "torch compile fused bf16", "jax bf16")}


def torch_step(mode, threads):
    import torch
    torch.set_num_threads(threads)
    encoder, head = torch.nn.Sequential(), torch.nn.Sequential()
    for n_in, n_out in zip(CHANNELS, CHANNELS[1:]):
        encoder.extend([torch.nn.Conv2d(n_in, n_out, 3, padding=1), torch.nn.SiLU(), torch.nn.AvgPool2d(2)])
    encoder.extend([torch.nn.AdaptiveAvgPool2d(1), torch.nn.Flatten()])
    for n_in, n_out in zip(WIDTHS, WIDTHS[1:]):
        head.extend([torch.nn.Linear(n_in, n_out), torch.nn.SiLU()])
    encoder, head = encoder.to(memory_format=torch.channels_last), head[:-1]
    optimiser = torch.optim.AdamW([*encoder.parameters(), *head.parameters()], lr=RATE,
        weight_decay=DECAY, fused=True)
    images = torch.randn(BATCH, 3, SIZE, SIZE).contiguous(memory_format=torch.channels_last)
    theta, context = torch.randn(BATCH, 5), torch.randn(BATCH, 5)

    def loss(theta_0, t, eps):
        theta_t = (1 - t) * theta_0 + t * theta + SIGMA * eps
        return ((head(torch.cat([t, theta_t, encoder(images), context], 1)) - (theta - theta_0)) ** 2).mean()
    loss = torch.compile(loss) if "compile" in mode else loss

    def steps(n):
        for _ in range(n):
            optimiser.zero_grad(set_to_none=True)
            with torch.autocast("cpu", dtype=torch.bfloat16, enabled="bf16" in mode):
                value = loss(torch.randn(BATCH, 5), torch.rand(BATCH, 1), torch.randn(BATCH, 5))
            value.backward()
            optimiser.step()
    return steps


def jax_step(mode, threads):
    os.sched_setaffinity(0, set(sorted(os.sched_getaffinity(0))[:threads]))  # XLA takes the cores it is given
    import jax, jax.numpy as jnp
    from jax import lax, random as R
    key = R.key(0)
    def weights(fold, shape, inputs):
        return R.normal(R.fold_in(key, fold), shape) / inputs ** 0.5, jnp.zeros(shape[-1])

    kernels = [weights(i, (3, 3) + CHANNELS[i:i + 2], 9 * CHANNELS[i]) for i in range(4)]
    layers = [weights(9 + i, WIDTHS[i:i + 2], WIDTHS[i]) for i in range(4)]
    product = jnp.bfloat16 if "bf16" in mode else jnp.float32
    images = R.normal(key, (BATCH, SIZE, SIZE, 3))
    theta, context = R.normal(R.key(1), (BATCH, 5)), R.normal(R.key(2), (BATCH, 5))

    def loss(net, key):
        a, b, c = R.split(key, 3)
        theta_0, t, x = R.normal(a, (BATCH, 5)), R.uniform(b, (BATCH, 1)), images
        for w, b in net[0]:
            z = lax.conv_general_dilated(x.astype(product), w.astype(product), (1, 1), "SAME",
                dimension_numbers=("NHWC", "HWIO", "NHWC"))
            x = jax.nn.silu(z.astype(jnp.float32) + b)
            x = lax.reduce_window(x, 0.0, lax.add, (1, 2, 2, 1), (1, 2, 2, 1), "VALID") / 4
        theta_t = (1 - t) * theta_0 + t * theta + SIGMA * R.normal(c, (BATCH, 5))
        x = jnp.concatenate([t, theta_t, x.mean((1, 2)), context], 1)
        for i, (w, b) in enumerate(net[1]):
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
    net = (kernels, layers)
    zeros = jax.tree.map(jnp.zeros_like, net)
    state = [net, zeros, zeros, jnp.float32(0), key]

    def steps(n):
        for _ in range(n):
            state[:] = step(*state)
        jax.block_until_ready(state)
    return steps


def serve(mode, threads, realtime):
    """Answers a number of steps with how many milliseconds one took."""
    steps = (jax_step if mode.startswith("jax") else torch_step)(mode, threads)
    steps(3)

    def answer(n):
        steps(1)
        start = time.perf_counter()
        steps(int(n))
        return (time.perf_counter() - start) / int(n) * 1e3
    contest.serve(answer, realtime)


def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("bench", nargs="?")
    p.add_argument("--steps", type=int, default=2)
    p.add_argument("--bf16", action="store_true")
    contest.arguments(p, 5, PEERS[False] + PEERS[True])
    o = p.parse_args()
    if o.peer:
        return serve(o.peer, o.threads, o.realtime)
    if not o.bench:
        p.error("where is bench_w2?")
    peers = {}
    for mode in PEERS[o.bf16]:
        child = contest.start_peer(__file__, mode, o.threads, o.realtime)
        if child:
            peers[mode] = child
    times = {}
    try:
        for _ in range(o.rounds):
            for mode, child in peers.items():
                times.setdefault(mode, []).append(contest.ask(child, o.steps))
            # A replay tries one thread once in a while (cpu/balance.c): the median of seven steps leaves
            # that out.
            command = [o.bench, "--rounds", "7", "--threads", str(o.threads)]
            own = contest.galrun(command + ["--bf16"] * o.bf16, o.realtime)
            times.setdefault("galrun", []).append(own["ms"])
    finally:
        for child in peers.values():
            child.kill()
    median = {k: statistics.median(v) for k, v in times.items()}
    print(f"W2{' in bf16' if o.bf16 else ''}, {o.threads} threads, {o.rounds} rounds of {o.steps} steps; "
          f"load {os.getloadavg()[0]:.1f}; FMA peak {own['peak']:.0f} GF/s, "
          f"{own['gigaflop']:.1f} GF a step by the direct sums")
    for k, v in times.items():
        share = 1e5 * own['gigaflop'] / median[k] / own['peak']
        print(f"{k:20s} min {min(v):7.1f}  median {median[k]:7.1f}  max {max(v):7.1f} ms/step  "
              f"{share:4.0f} % of the FMA peak")
    if peers:
        peer = min(peers, key=median.get)
        print(f"galrun is {median[peer] / median['galrun']:.2f} times as fast as the peer ({peer}); medians")


if __name__ == "__main__":
    main()
