"""Golden values for "ten AdamW steps of the image model", from PyTorch: galrun's convolutions, pools,
gradients and AdamW must reproduce them.

usage: image_adamw.py      (torch, numpy; one thread, a minute)      Writes image_adamw.json beside itself.

The problem: the paper's image model, 128 x 128 x 3 images through four blocks (3x3 convolution, stride 1,
padding 1; silu; 2x2 mean pool) of 32-64-128-256 channels, the mean over all pixels {256}, and the velocity
MLP 267-256-256-256-5, silu, on [t; theta_t; image; context]. Batch of 4, sigma = .05, MSE as the mean over
all 4 * 5 elements, AdamW lr 5e-4, betas .9 .999, eps 1e-8, weight_decay .01 on all sixteen tensors. All input
comes from the integer hash of mlp_adamw.py (h, u, s there) and holds no transcendental function:

    tensor k = 0..15         f32(s(k, i) / sqrt(in)): 4 x weight, bias of the convolutions; 4 x of the MLP;
                             in = 9 times the channels before, or the columns; a convolution's weight is
                             {out, kh, kw, in}, and i counts its elements in that order
    context {16, 5}          f32(sqrt3 * s(16, i)), sqrt3 = 1.7320508075688772
    theta   {16, 5}          f32(.5 * context[i] + f32(sqrt3 * s(17, i)))
    rows    {10, 4}          h(18, i) >> 28, the row of the data, counted from 0
    t       {10, 4}          u(19, i)
    theta_0 {10, 4, 5}       f32(sqrt3 * s(20, i))
    eps     {10, 4, 5}       f32(sqrt3 * s(21, i))
    images  {16, 128, 128, 3}, standardised as they are; galaxy g, row y, column x (both from 0), channel c:
        cx = 63.5 + 16 * s(22, g);  cy = 63.5 + 16 * s(23, g)
        w = 4 + 12 * u(24, g);  q = .5 + .5 * u(25, g);  a = 4 * u(26, 3 * g + c)
        dx = (x - cx) / w;  dy = (y - cy) / (w * q)
        pixel = f32((a / (1 + (dx * dx + dy * dy)) + .5 * s(27, i)) - 1)
  Step n = 0..9 takes rows[n], t[n], theta_0[n], eps[n] as in mlp_adamw.py; losses[n] is the loss of step n's
  batch before step n's update.

588,000 weights are too many to keep. The file has for each tensor w after ten steps its L2 norm and its
sketch (Alon, Matias & Szegedy 1996): 64 sums over all elements with signs from the hash, sketch[j] = sum_i
sign_j(i) w_i, where sign_j(i) is +1 or -1 as bit (j mod 32) of h(32 + k, i) for j < 32, of h(64 + k, i) for j
>= 32, is 0 or 1. For any other tensor v the mean over j of (sketch_j(v) - sketch_j(w))^2 estimates |v - w|^2
without bias and to 18 % (one deviation, sqrt(2 / 64)); no element is left out. `float32` is the run to
compare with. The float64 run (same float32 input) shows how far float32 rounding carries PyTorch itself:
`spread`. `sketched`, the same by the sketches, shows how good the sketches are."""
import json
import math
import pathlib
import platform

import numpy as np
import torch

from mlp_adamw import SQRT3, h, s, u

CHANNELS, WIDTHS, SIZE = (3, 32, 64, 128, 256), (267, 256, 256, 256, 5), 128
BATCH, ROWS, STEPS, SIGMA, DIMS = 4, 16, 10, .05, 5
OUT = pathlib.Path(__file__).with_suffix(".json")


def initial_weights():
    """[(name, float32 array)], 1.weight 1.bias ... of encoder and head: convolutions {out, kh, kw, in},
    matrices {out, in}, biases {out}."""
    shapes = [((n_out, 3, 3, n_in), 9 * n_in) for n_in, n_out in zip(CHANNELS, CHANNELS[1:])]
    shapes += [((n_out, n_in), n_in) for n_in, n_out in zip(WIDTHS, WIDTHS[1:])]
    tensors = []
    for layer, (shape, fan) in enumerate(shapes):
        part = f"encoder.{3 * layer + 1}" if layer < 4 else f"head.{2 * (layer - 4) + 1}"
        for kind, own in (("weight", shape), ("bias", shape[:1])):
            tensors.append((f"{part}.{kind}", (s(len(tensors), own) / math.sqrt(fan)).astype(np.float32)))
    return tensors


def images():
    g = lambda a: a[:, None, None, None]
    cx, cy = g(63.5 + 16 * s(22, (ROWS,))), g(63.5 + 16 * s(23, (ROWS,)))
    w, q = g(4 + 12 * u(24, (ROWS,))), g(.5 + .5 * u(25, (ROWS,)))
    a = 4 * u(26, (ROWS, 3))[:, None, None, :]
    dx = (np.arange(SIZE, dtype=np.float64)[None, None, :, None] - cx) / w
    dy = (np.arange(SIZE, dtype=np.float64)[None, :, None, None] - cy) / (w * q)
    return ((a / (1 + (dx * dx + dy * dy)) + .5 * s(27, (ROWS, SIZE, SIZE, 3))) - 1).astype(np.float32)


def data_and_draws():
    context = (SQRT3 * s(16, (ROWS, DIMS))).astype(np.float32)
    noise = (SQRT3 * s(17, (ROWS, DIMS))).astype(np.float32)
    return {
        "context": context,
        "theta": (.5 * context.astype(np.float64) + noise).astype(np.float32),
        "rows": (h(18, (STEPS, BATCH)) >> np.uint32(28)).astype(np.int64),
        "t": u(19, (STEPS, BATCH)).astype(np.float32),
        "theta_0": (SQRT3 * s(20, (STEPS, BATCH, DIMS))).astype(np.float32),
        "eps": (SQRT3 * s(21, (STEPS, BATCH, DIMS))).astype(np.float32),
        "images": images(),
    }


def model(dtype):
    encoder, head = torch.nn.Sequential(), torch.nn.Sequential()
    for n_in, n_out in zip(CHANNELS, CHANNELS[1:]):
        encoder.extend([torch.nn.Conv2d(n_in, n_out, 3, padding=1), torch.nn.SiLU(), torch.nn.AvgPool2d(2)])
    encoder.extend([torch.nn.AdaptiveAvgPool2d(1), torch.nn.Flatten()])
    for n_in, n_out in zip(WIDTHS, WIDTHS[1:]):
        head.extend([torch.nn.Linear(n_in, n_out), torch.nn.SiLU()])
    encoder, head = encoder.to(dtype), head[:-1].to(dtype)
    parameters = list(encoder.parameters()) + list(head.parameters())
    with torch.no_grad():
        for parameter, (_, w0) in zip(parameters, initial_weights(), strict=True):
            w0 = torch.from_numpy(w0)
            parameter.copy_(w0.permute(0, 3, 1, 2) if w0.ndim == 4 else w0)
    return encoder, head, parameters


def train(dtype, data):
    """Losses {10}; the sixteen tensors after the last step as float64 arrays in galrun's layout."""
    encoder, head, parameters = model(dtype)
    optimiser = torch.optim.AdamW(parameters, lr=5e-4, betas=(.9, .999), eps=1e-8, weight_decay=.01)
    d = {name: torch.from_numpy(a).to(torch.int64 if name == "rows" else dtype) for name, a in data.items()}
    losses = []
    for n in range(STEPS):
        t, theta_0, rows = d["t"][n][:, None], d["theta_0"][n], d["rows"][n]
        theta, context = d["theta"][rows], d["context"][rows]
        theta_t = (1 - t) * theta_0 + t * theta + SIGMA * d["eps"][n]
        seen = encoder(d["images"][rows].permute(0, 3, 1, 2))
        loss = torch.nn.functional.mse_loss(head(torch.cat([t, theta_t, seen, context], 1)), theta - theta_0)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        losses.append(loss.item())
    ours = lambda p: (p.permute(0, 2, 3, 1) if p.ndim == 4 else p).detach().double().numpy().copy()
    return np.array(losses), [ours(p) for p in parameters]


def sketch(k, w):
    flat = w.ravel()
    words = [h(32 + k, flat.shape), h(64 + k, flat.shape)]

    def signs(j):
        bits = (words[j // 32] >> np.uint32(j % 32)) & np.uint32(1)
        return 1 - 2 * bits.astype(np.float64)

    return np.array([flat @ signs(j) for j in range(64)])


def main():
    torch.set_num_threads(1)
    data = data_and_draws()
    losses, weights = train(torch.float32, data)
    losses64, weights64 = train(torch.float64, data)
    norm = lambda a: float(np.linalg.norm(a))
    tensors = []
    for k, (name, w0) in enumerate(initial_weights()):
        kept, kept64 = sketch(k, weights[k]), sketch(k, weights64[k])
        tensors.append({
            "name": name, "shape": list(w0.shape), "norm": norm(weights[k]),
            "moved": norm(weights[k] - w0) / norm(weights[k]),
            "spread": norm(weights[k] - weights64[k]) / norm(weights64[k]),
            "sketched": float(np.sqrt(np.mean((kept - kept64) ** 2))) / norm(weights64[k]),
            "sketch": kept.tolist(),
        })
        shown = {key: value for key, value in tensors[-1].items() if key != "sketch"}
        print(*(f"{key} {v:.3g}" if isinstance(v, float) else v for key, v in shown.items()))
    inputs = dict(initial_weights()) | data
    golden = {
        "what": "ten AdamW steps of the image model at batch 4; the recipe is in image_adamw.py",
        "torch": torch.__version__, "numpy": np.__version__, "machine": platform.machine(),
        "meaning": {
            "losses": "float32 run", "losses_float64": "float64 run",
            "norm": "L2 norm after ten steps, float32 run",
            "moved": "|w10 - w0| / |w10|",
            "spread": "|float32 - float64| / |float64|, PyTorch against itself",
            "sketched": "the same, estimated by the sketches",
            "check": "the first and the last element of each input",
        },
        "loss_spread": float(np.abs(losses / losses64 - 1).max()),
        "tensors": tensors,
        "check": {name: [a.ravel()[0].item(), a.ravel()[-1].item()] for name, a in inputs.items()},
        "losses": losses.tolist(), "losses_float64": losses64.tolist(),
    }
    OUT.write_text(json.dumps(golden, indent=1) + "\n")
    print("loss", losses, "spread", golden["loss_spread"])


if __name__ == "__main__":
    main()
