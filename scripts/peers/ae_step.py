"""Time of one training step of the study's autoencoder in PyTorch, the peer of asdbench's own step.

640 -> 4 x hidden -> bottleneck -> 4 x hidden -> 640; linear, batch norm and ReLU on every hidden layer and on the
bottleneck, a linear output, mean absolute error, AdamW. The batch lies in memory: no data loading is timed.
Prints one JSON object.
"""

import argparse
import json
import statistics
import time

import torch
from torch import nn


def arguments():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--batch", type=int, default=512, help="windows in a batch")
    parser.add_argument("--dim", type=int, default=640, help="values in a window (frames x mel bins)")
    parser.add_argument("--hidden", type=int, default=128, help="width of a hidden layer")
    parser.add_argument("--bottleneck", type=int, default=8, help="width of the bottleneck")
    parser.add_argument("--layers", type=int, default=4, help="hidden layers on each side")
    parser.add_argument("--steps", type=int, default=200, help="steps that are timed")
    parser.add_argument("--warmup", type=int, default=20, help="steps before them")
    parser.add_argument("--threads", type=int, default=2, help="threads that PyTorch may use")
    chosen = parser.parse_args()
    for name, value in vars(chosen).items():
        least = {"warmup": 0, "batch": 2}.get(name, 1)  # batch norm needs two windows
        if value < least:
            parser.error(f"--{name} must be at least {least}")
    return chosen


def autoencoder(dim, hidden, bottleneck, layers):
    widths = [dim] + [hidden] * layers + [bottleneck] + [hidden] * layers
    modules = []
    for wide_in, wide_out in zip(widths, widths[1:]):
        modules += [nn.Linear(wide_in, wide_out), nn.BatchNorm1d(wide_out), nn.ReLU()]
    return nn.Sequential(*modules, nn.Linear(widths[-1], dim))


def main():
    args = arguments()
    torch.set_num_threads(args.threads)
    torch.manual_seed(0)
    model = autoencoder(args.dim, args.hidden, args.bottleneck, args.layers).train()
    optimizer = torch.optim.AdamW(model.parameters(), lr=5e-4, weight_decay=0.01)
    criterion = nn.L1Loss()
    # A few batches in turn, so that no step finds its own batch in the cache.
    batches = [torch.rand(args.batch, args.dim) for _ in range(8)]

    times_ms = []
    for step in range(args.warmup + args.steps):
        batch = batches[step % len(batches)]
        start = time.perf_counter()
        optimizer.zero_grad()
        loss = criterion(model(batch), batch)
        loss.backward()
        optimizer.step()
        loss.item()  # the loss is logged each step by any training loop
        times_ms.append(1e3 * (time.perf_counter() - start))
    timed = times_ms[args.warmup:]

    print(json.dumps({
        "ms_per_step_median": statistics.median(timed),
        "ms_per_step_min": min(timed),
        "steps": args.steps,
        "batch": args.batch,
        "hidden": args.hidden,
        "bottleneck": args.bottleneck,
        "threads": torch.get_num_threads(),
        "torch": torch.__version__,
    }))


if __name__ == "__main__":
    main()
