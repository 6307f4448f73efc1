"""Golden values for "200 AdamW steps of the photometry model", from PyTorch: galrun's layers, gradients and
AdamW must reproduce them.

usage: mlp_adamw.py      (torch, numpy; one thread, seconds)
Writes mlp_adamw/golden.json and mlp_adamw/change10.npy beside itself.

The problem: velocity MLP 11-256-256-256-5, silu, nn.Linear's layout (weight {out, in}), y = x W^T + b. Batch
of 64, sigma = .05, MSE as the mean over all 64 * 5 elements, AdamW lr 5e-4, betas .9 .999, eps 1e-8,
weight_decay .01 on all eight tensors. All input comes from an integer hash and holds no transcendental
function, so that nothing of it need be stored and any language makes the same bits:

    mix(x):  x ^= x >> 16;  x *= 0x7feb352d;  x ^= x >> 15;  x *= 0x846ca68b;  x ^= x >> 16
             unsigned 32 bits, products mod 2^32 (lowbias32 of C. Wellons' hash-prospector). A product in
             doubles, where x and the constant c are unsigned and every term is below 2^49, hence exact:
             mul(x, c) = (((x >> 16) * c mod 2^16) * 2^16 + (x & 0xffff) * c) mod 2^32
    h(stream, i) = mix((mix(stream) + i) mod 2^32)
    u(stream, i) = (h >> 8) * 2^-24          in [0, 1), exact in float32
    s(stream, i) = 2 u - 1                   in [-1, 1), exact in float32

  f32() is the rounding of a double to float32; every expression below is computed in doubles. i is the
  row-major index in the shape given.
    tensor k = 0..7          f32(s(k, i) / sqrt(in)), in = 11 256 256 256, for a weight and its bias:
                             W1 b1 W2 b2 W3 b3 W4 b4
    context {1024, 5}        f32(sqrt3 * s(8, i)), sqrt3 = 1.7320508075688772
    theta   {1024, 5}        f32(.5 * context[i] + f32(sqrt3 * s(9, i)))
    rows    {200, 64}        h(10, i) >> 22, the row of the data, counted from 0
    t       {200, 64}        u(11, i)
    theta_0 {200, 64, 5}     f32(sqrt3 * s(12, i))
    eps     {200, 64, 5}     f32(sqrt3 * s(13, i))
  Step n = 0..199 takes rows[n], t[n], theta_0[n], eps[n]; from here on in the precision of the model:
    theta_t = (1 - t) theta_0 + t theta[rows] + .05 eps
    input = [t, theta_t, context[rows]];  target = theta[rows] - theta_0
  losses[n] is the loss of step n's batch before step n's update.

The files: change10.npy, int16 {135941}, holds the eight tensors' change over the first ten steps, one after
the other and row-major: w10 = w0 + scale * change, scale by tensor in the JSON. It and `losses` are the
float32 run's; a second run in float64 (from the same float32 input) shows how far float32 rounding alone
carries PyTorch: `losses_float64`, `spread` and `loss_within_1e-6`. `check` holds values to test a hash
against."""
import json
import math
import pathlib
import platform

import numpy as np
import torch

WIDTHS, BATCH, ROWS, STEPS, SIGMA, DIMS = (11, 256, 256, 256, 5), 64, 1024, 200, .05, 5
SQRT3 = 1.7320508075688772
OUT = pathlib.Path(__file__).with_suffix("")


def mix(x):
    x = x.astype(np.uint32)   # NumPy's uint32 products wrap mod 2^32
    x = (x ^ (x >> np.uint32(16))) * np.uint32(0x7feb352d)
    x = (x ^ (x >> np.uint32(15))) * np.uint32(0x846ca68b)
    return x ^ (x >> np.uint32(16))


def h(stream, shape):
    i = np.arange(math.prod(shape), dtype=np.uint32)
    return mix(mix(np.array([stream])) + i).reshape(shape)


def u(stream, shape):
    return (h(stream, shape) >> np.uint32(8)).astype(np.float64) * 2.0**-24


def s(stream, shape):
    return 2 * u(stream, shape) - 1


def initial_weights():
    """[(name, float32 array)], W1 b1 W2 b2 ...: weights {out, in}, biases {out}."""
    tensors = []
    for layer, (n_in, n_out) in enumerate(zip(WIDTHS, WIDTHS[1:])):
        for kind, shape in (("weight", (n_out, n_in)), ("bias", (n_out,))):
            values = s(len(tensors), shape) / math.sqrt(n_in)
            tensors.append((f"{layer + 1}.{kind}", values.astype(np.float32)))
    return tensors


def data_and_draws():
    context = (SQRT3 * s(8, (ROWS, DIMS))).astype(np.float32)
    noise = (SQRT3 * s(9, (ROWS, DIMS))).astype(np.float32)
    return {
        "context": context,
        "theta": (.5 * context.astype(np.float64) + noise).astype(np.float32),
        "rows": (h(10, (STEPS, BATCH)) >> np.uint32(22)).astype(np.int64),
        "t": u(11, (STEPS, BATCH)).astype(np.float32),
        "theta_0": (SQRT3 * s(12, (STEPS, BATCH, DIMS))).astype(np.float32),
        "eps": (SQRT3 * s(13, (STEPS, BATCH, DIMS))).astype(np.float32),
    }


def train(dtype):
    """Losses {200}; the eight tensors after 0, 10 and 200 steps as {steps: [float64 array]}."""
    net = torch.nn.Sequential()
    for n_in, n_out in zip(WIDTHS, WIDTHS[1:]):
        net.extend([torch.nn.Linear(n_in, n_out), torch.nn.SiLU()])
    net = net[:-1].to(dtype)
    parameters = list(net.parameters())
    with torch.no_grad():
        for parameter, (_, w0) in zip(parameters, initial_weights(), strict=True):
            parameter.copy_(torch.from_numpy(w0))
    optimiser = torch.optim.AdamW(parameters, lr=5e-4, betas=(.9, .999), eps=1e-8, weight_decay=.01)

    d = {name: torch.from_numpy(a).to(torch.int64 if name == "rows" else dtype)
         for name, a in data_and_draws().items()}
    snapshot = lambda: [p.detach().double().numpy().copy() for p in parameters]
    losses, weights = [], {0: snapshot()}
    for n in range(STEPS):
        t, theta_0 = d["t"][n][:, None], d["theta_0"][n]
        theta, context = d["theta"][d["rows"][n]], d["context"][d["rows"][n]]
        theta_t = (1 - t) * theta_0 + t * theta + SIGMA * d["eps"][n]
        loss = torch.nn.functional.mse_loss(net(torch.cat([t, theta_t, context], 1)), theta - theta_0)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        losses.append(loss.item())
        if n + 1 in (10, STEPS):
            weights[n + 1] = snapshot()
    return np.array(losses), weights


def main():
    torch.set_num_threads(1)
    losses, weights = train(torch.float32)
    losses64, weights64 = train(torch.float64)
    difference = np.abs(losses / losses64 - 1)
    norm = lambda a: float(np.linalg.norm(a))

    tensors, change = [], []
    for k, (name, w0) in enumerate(initial_weights()):
        step10, step200 = weights[10][k], weights[STEPS][k]
        scale = float(np.abs(step10 - weights[0][k]).max() / 32767)
        quantised = np.rint((step10 - weights[0][k]) / scale).astype(np.int16)
        restored = weights[0][k] + scale * quantised.astype(np.float64)
        tensors.append({
            "name": name, "shape": list(w0.shape), "scale": scale,
            "norm_0": norm(weights[0][k]), "norm_10": norm(step10), "norm_200": norm(step200),
            "quantisation": norm(restored - step10) / norm(step10),
            "spread_10": norm(step10 - weights64[10][k]) / norm(weights64[10][k]),
            "spread_200": norm(step200 - weights64[STEPS][k]) / norm(weights64[STEPS][k]),
        })
        change.append(quantised.ravel())

    inputs = dict(initial_weights()) | data_and_draws()
    golden = {
        "what": "200 AdamW steps of the photometry model; the recipe is in mlp_adamw.py",
        "torch": torch.__version__, "numpy": np.__version__, "machine": platform.machine(),
        "meaning": {
            "losses": "float32 run", "losses_float64": "float64 run",
            "scale": "w10 = w0 + scale * change10", "norm_N": "L2 norm after N steps, float32 run",
            "quantisation": "|what the files restore - w10| / |w10|",
            "spread_N": "|float32 - float64| / |float64| after N steps, PyTorch against itself",
            "loss_within_1e-6": "number of first steps in which the float32 loss is within 1e-6, relative, "
                                "of the float64 loss in every step",
            "loss_spread": "largest relative difference of the two runs' losses in steps 0-9, 0-49, 0-99, "
                           "0-199",
            "check": "h: h(0, 1), h(1, 0), h(13, 63999); else the first and the last element",
        },
        "loss_within_1e-6": int(np.argmax(np.append(difference, 1) > 1e-6)),
        "loss_spread": {str(n): float(difference[:n].max()) for n in (10, 50, 100, STEPS)},
        "tensors": tensors,
        "check": {"h": [int(h(0, (2,))[1]), int(h(1, (1,))[0]), int(h(13, (64000,))[-1])]}
                 | {name: [a.ravel()[0].item(), a.ravel()[-1].item()] for name, a in inputs.items()},
        "losses": losses.tolist(), "losses_float64": losses64.tolist(),
    }
    OUT.mkdir(exist_ok=True)
    np.save(OUT / "change10.npy", np.concatenate(change))
    (OUT / "golden.json").write_text(json.dumps(golden, indent=1) + "\n")
    for tensor in tensors:
        print(*(f"{key} {value:.3g}" if isinstance(value, float) else value for key, value in tensor.items()))
    print("loss", losses[0], "->", losses[-1], golden["loss_within_1e-6"], golden["loss_spread"])


if __name__ == "__main__":
    main()
