"""Golden values for "ten AdamW steps of the image model at batch 4", from PyTorch: what galrun's convolutions, pools, gradients and AdamW must reproduce.

usage: image_adamw.py      (torch, numpy; one thread, a minute)      Writes image_adamw.npy beside itself.

The model: four blocks of Conv2d(3, 32), (32, 64), (64, 128), (128, 256), kernel 3, padding 1, each followed by SiLU and AvgPool2d(2), on 128 x 128 x 3; mean over all
pixels; MLP 267-256-256-256-5 with SiLU on [t, theta_t, 256 features, context]. Batch of 4, sigma = .05, MSE as the mean over all 4 * 5 elements, AdamW lr 5e-4,
betas .9 .999, eps 1e-8, weight_decay .01 on all sixteen tensors. All input comes from the integer hash of mlp_adamw.py (h, u, s, f32, i as there):

    tensor k = 0..15 (kernel, bias of each block, then weight, bias of each layer)   f32(s(k, i) / sqrt(fan_in)), fan_in = 27 288 576 1152 267 256 256 256 for a weight
                             and its bias; kernels are {out, 3, 3, in}
    images  {10, 4, 128, 128, 3}   f32(sqrt3 * s(20, i))
    context {10, 4, 5}       f32(sqrt3 * s(21, i))
    theta   {10, 4, 5}       f32(sqrt3 * s(22, i))
    theta_0 {10, 4, 5}       f32(sqrt3 * s(23, i))
    t       {10, 4}          u(24, i)
    eps     {10, 4, 5}       f32(sqrt3 * s(25, i))
  Step n takes images[n], ...: theta_t = (1 - t) theta_0 + t theta + .05 eps; target = theta - theta_0.

The file, float64 {10 + samples}: the loss of each step before its update; then of every tensor after the tenth step its first elements in steps of
ceil(count / 4096), kernels as {out, 3, 3, in}. All of it from the float64 run; what float32 alone does to PyTorch is printed.
"""
import math
import pathlib

import numpy as np
import torch

from mlp_adamw import SQRT3, s, u

BATCH, STEPS, SIZE, SIGMA = 4, 10, 128, .05
CHANNELS, WIDTHS = (3, 32, 64, 128, 256), (267, 256, 256, 256, 5)


def initial():
    """Float32 arrays in order; kernels {out, 3, 3, in}."""
    shapes = []
    for n_in, n_out in zip(CHANNELS, CHANNELS[1:]):
        shapes += [((n_out, 3, 3, n_in), 9 * n_in), ((n_out,), 9 * n_in)]
    for n_in, n_out in zip(WIDTHS, WIDTHS[1:]):
        shapes += [((n_out, n_in), n_in), ((n_out,), n_in)]
    return [(s(k, shape) / math.sqrt(fan_in)).astype(np.float32) for k, (shape, fan_in) in enumerate(shapes)]


def train(dtype):
    """Losses {10}, and the sixteen tensors after ten steps, kernels {out, 3, 3, in}."""
    encoder, head = torch.nn.Sequential(), torch.nn.Sequential()
    for n_in, n_out in zip(CHANNELS, CHANNELS[1:]):
        encoder.extend([torch.nn.Conv2d(n_in, n_out, 3, padding=1), torch.nn.SiLU(), torch.nn.AvgPool2d(2)])
    for n_in, n_out in zip(WIDTHS, WIDTHS[1:]):
        head.extend([torch.nn.Linear(n_in, n_out), torch.nn.SiLU()])
    encoder, head = encoder.to(dtype), head[:-1].to(dtype)
    parameters = [*encoder.parameters(), *head.parameters()]
    with torch.no_grad():
        for parameter, w0 in zip(parameters, initial(), strict=True):
            parameter.copy_(torch.from_numpy(np.moveaxis(w0, 3, 1) if w0.ndim == 4 else w0))
    optimiser = torch.optim.AdamW(parameters, lr=5e-4, betas=(.9, .999), eps=1e-8, weight_decay=.01)

    draw = lambda stream, shape: torch.from_numpy((SQRT3 * s(stream, shape)).astype(np.float32)).to(dtype)
    images = draw(20, (STEPS, BATCH, SIZE, SIZE, 3)).permute(0, 1, 4, 2, 3)
    context, theta, theta_0 = (draw(k, (STEPS, BATCH, 5)) for k in (21, 22, 23))
    t, eps = torch.from_numpy(u(24, (STEPS, BATCH, 1))).to(dtype), draw(25, (STEPS, BATCH, 5))
    losses = []
    for n in range(STEPS):
        theta_t = (1 - t[n]) * theta_0[n] + t[n] * theta[n] + SIGMA * eps[n]
        features = encoder(images[n]).mean((2, 3))
        loss = torch.nn.functional.mse_loss(head(torch.cat([t[n], theta_t, features, context[n]], 1)), theta[n] - theta_0[n])
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        losses.append(loss.item())
    arrays = [p.detach().double().numpy() for p in parameters]
    return np.array(losses), [np.moveaxis(a, 1, 3) if a.ndim == 4 else a for a in arrays]


def main():
    torch.set_num_threads(1)
    losses, tensors = train(torch.float64)
    losses32, tensors32 = train(torch.float32)
    sample = lambda a: a.ravel()[::-(-a.size // 4096)]
    np.save(pathlib.Path(__file__).with_suffix(".npy"), np.concatenate([losses] + [sample(a) for a in tensors]))
    print("losses", losses, "float32 differs by", np.abs(losses32 / losses - 1).max())
    for k, (a, b) in enumerate(zip(tensors, tensors32)):
        print(k, a.shape, "float32 differs by", np.linalg.norm(b - a) / np.linalg.norm(a), "of the weights", np.linalg.norm(b - a) / np.linalg.norm(a - initial()[k]),
              "of their change")


if __name__ == "__main__":
    main()
