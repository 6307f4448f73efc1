"""W1, a training step of the photometry model at batch 64, in PyTorch on a card: eager, with fused AdamW, as
a CUDA graph of whole steps, and compiled. One line a mode, microseconds a step: the median of 7 rounds of 500
steps, each round timed between two synchronisations. The work is that of tests/bench/w1.py.

usage: torch_w1.py [--device cuda|cpu] [--tf32] [--steps 500] [modes: eager fused graph compiled]
Compiled comes last: it may take a minute. A mode that fails is a line that says why."""
import argparse, statistics, time
import torch

BATCH, WIDTHS, SIGMA = 64, (11, 256, 256, 256, 5), 0.05


def step_of(mode, device):
    layers = []
    for i in range(4):
        layers += [torch.nn.Linear(WIDTHS[i], WIDTHS[i + 1])] + ([torch.nn.SiLU()] if i < 3 else [])
    net = torch.nn.Sequential(*layers).to(device)
    graph = mode == "graph"
    optimiser = torch.optim.AdamW(net.parameters(), lr=5e-4, weight_decay=1e-2, capturable=graph,
        fused=True if mode != "eager" else None)
    theta, context = torch.randn(BATCH, 5, device=device), torch.randn(BATCH, 5, device=device)

    def loss(theta_0, t, eps):
        theta_t = (1 - t) * theta_0 + t * theta + SIGMA * eps
        return ((net(torch.cat([t, theta_t, context], 1)) - (theta - theta_0)) ** 2).mean()
    loss = torch.compile(loss, mode="reduce-overhead") if mode == "compiled" else loss

    def step():
        optimiser.zero_grad(set_to_none=not graph)
        draws = torch.randn(BATCH, 5, device=device), torch.rand(BATCH, 1, device=device)
        loss(*draws, torch.randn(BATCH, 5, device=device)).backward()
        optimiser.step()
    if not graph:
        return step
    aside = torch.cuda.Stream()
    with torch.cuda.stream(aside):
        for _ in range(3):
            step()
    torch.cuda.current_stream().wait_stream(aside)
    captured = torch.cuda.CUDAGraph()
    with torch.cuda.graph(captured):
        step()
    return captured.replay


def microseconds(mode, device, steps):
    step, wait = step_of(mode, device), torch.cuda.synchronize if device == "cuda" else lambda: None
    for _ in range(100):
        step()
    rounds = []
    for _ in range(7):
        wait()
        start = time.perf_counter()
        for _ in range(steps):
            step()
        wait()
        rounds.append((time.perf_counter() - start) / steps * 1e6)
    return statistics.median(rounds)


def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("modes", nargs="*", default=["eager", "fused", "graph", "compiled"])
    p.add_argument("--device", default="cuda")
    p.add_argument("--tf32", action="store_true")
    p.add_argument("--steps", type=int, default=500)
    o = p.parse_args()
    if o.tf32:
        torch.set_float32_matmul_precision("high")
    for mode in o.modes:
        name = f"W1, PyTorch {torch.__version__} {mode}{', tf32' if o.tf32 else ''}"
        try:
            print(f"{name:44s} {microseconds(mode, o.device, o.steps):12.4g} us a step", flush=True)
        except Exception as why:
            print(f"{name}: {type(why).__name__}: {str(why).splitlines()[0][:90]}", flush=True)


main()
