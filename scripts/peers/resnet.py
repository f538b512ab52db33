"""Time of a residual network in PyTorch, forward and one training step, the peer of benches/resnet.rs.

The network is written here layer by layer (torchvision's v1.5 layout, one input channel), so that torchvision is not
needed. Prints one JSON object: milliseconds, peak memory, and with --layers the time of each convolution's shape.
"""

import argparse
import json
import resource
import statistics
import time

import torch
from torch import nn
from torch.nn import functional as F

BLOCKS = {18: (2, 2, 2, 2), 34: (3, 4, 6, 3), 50: (3, 4, 6, 3), 101: (3, 4, 23, 3), 152: (3, 8, 36, 3)}


class Block(nn.Module):
    def __init__(self, inputs, planes, expansion, stride):
        super().__init__()
        outputs = planes * expansion
        if expansion == 1:
            kernels = [(inputs, planes, 3, stride), (planes, planes, 3, 1)]
        else:
            kernels = [(inputs, planes, 1, 1), (planes, planes, 3, stride), (planes, outputs, 1, 1)]
        self.convs = nn.ModuleList(nn.Conv2d(i, o, k, s, k // 2, bias=False) for i, o, k, s in kernels)
        self.norms = nn.ModuleList(nn.BatchNorm2d(o) for _, o, _, _ in kernels)
        self.down = None
        if stride > 1 or inputs != outputs:
            self.down = nn.Sequential(nn.Conv2d(inputs, outputs, 1, stride, bias=False), nn.BatchNorm2d(outputs))

    def forward(self, x):
        shortcut = x if self.down is None else self.down(x)
        for n, (conv, norm) in enumerate(zip(self.convs, self.norms)):
            x = norm(conv(x if n == 0 else F.relu(x)))
        return F.relu(x + shortcut)


def resnet(depth, classes):
    expansion = 1 if depth < 50 else 4
    layers = [nn.Conv2d(1, 64, 7, 2, 3, bias=False), nn.BatchNorm2d(64), nn.ReLU(), nn.MaxPool2d(3, 2, 1)]
    inputs = 64
    for stage, blocks in enumerate(BLOCKS[depth]):
        planes = 64 << stage
        for block in range(blocks):
            layers.append(Block(inputs, planes, expansion, 2 if block == 0 and stage > 0 else 1))
            inputs = planes * expansion
    return nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(inputs, classes))


def timed(work, times, device):
    taken = []
    for _ in range(times + 1):
        start = time.perf_counter()
        work()
        if device != "cpu":
            torch.cuda.synchronize()
        taken.append(1e3 * (time.perf_counter() - start))
    return statistics.median(taken[1:])


def layer_times(net, x, times):
    """Forward, and forward + backward, of each distinct convolution of the network."""
    shapes = {}

    def note(module, inputs, _output):
        shapes.setdefault((tuple(inputs[0].shape), tuple(module.weight.shape), module.stride), module)

    hooks = [m.register_forward_hook(note) for m in net.modules() if isinstance(m, nn.Conv2d)]
    with torch.no_grad():
        net(x)
    for hook in hooks:
        hook.remove()
    found = []
    for (shape, weight, stride), module in shapes.items():
        image = torch.rand(shape, requires_grad=True)
        with torch.no_grad():
            forward = timed(lambda: module(image), times, "cpu")

        def both():
            module.zero_grad()
            image.grad = None
            module(image).sum().backward()

        found.append({"input": shape, "weight": weight, "stride": stride[0],
                      "forward_ms": forward, "both_ms": timed(both, times, "cpu")})
    return found


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--depth", type=int, default=18, choices=sorted(BLOCKS))
    parser.add_argument("--batch", type=int, default=8)
    parser.add_argument("--frames", type=int, default=313)
    parser.add_argument("--times", type=int, default=5, help="repetitions, after one that is not counted")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--bf16", action="store_true", help="autocast to bf16")
    parser.add_argument("--layers", action="store_true", help="each convolution's shape too")
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    torch.manual_seed(0)
    net = resnet(args.depth, 6).to(args.device)
    optimizer = torch.optim.AdamW(net.parameters(), lr=1e-4)
    x = torch.rand(args.batch, 1, 128, args.frames, device=args.device)
    y = torch.arange(args.batch, device=args.device) % 6
    mixed = torch.autocast("cuda" if args.device != "cpu" else "cpu", torch.bfloat16, enabled=args.bf16)

    def forward():
        with torch.no_grad(), mixed:
            net(x)

    def step():
        optimizer.zero_grad()
        with mixed:
            loss = F.cross_entropy(net(x), y)
        loss.backward()
        optimizer.step()
        loss.item()

    net.eval()
    forward_ms = timed(forward, args.times, args.device)
    net.train()
    step_ms = timed(step, args.times, args.device)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    result = {"forward_ms": forward_ms, "step_ms": step_ms, "peak_rss_mb": round(peak), "torch": torch.__version__}
    if args.layers:
        result["layers"] = layer_times(net, x, args.times)
    print(json.dumps(result))


if __name__ == "__main__":
    main()
