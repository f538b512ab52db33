"""Time of a BEATs encoder in PyTorch, the peer of benches/encoder.rs.

The network is written here from its description (arXiv 2212.09058) with random weights: the time does not hang on them.
Attention is computed in two ways, with the scores spelt out and with PyTorch's own fused function; both are timed.
Prints one JSON object: milliseconds a clip for each batch size and way, peak memory.
"""

import argparse
import json
import math
import resource
import statistics
import time

import torch
from torch import nn
from torch.nn import functional as F


class Attention(nn.Module):
    def __init__(self, width, heads):
        super().__init__()
        self.heads = heads
        self.q, self.k, self.v, self.out = (nn.Linear(width, width) for _ in range(4))
        self.gates = nn.Linear(width // heads, 8)
        self.gate = nn.Parameter(torch.ones(1, heads, 1, 1))

    def forward(self, x, bias, fused):
        batch, tokens, width = x.shape
        q, k, v = (layer(x).view(batch, tokens, self.heads, -1).transpose(1, 2) for layer in (self.q, self.k, self.v))
        a, b = torch.sigmoid(self.gates(q).view(batch, self.heads, tokens, 2, 4).sum(-1)).chunk(2, dim=-1)
        bias = (a * (b * self.gate - 1.0) + 2.0) * bias
        if fused:
            y = F.scaled_dot_product_attention(q, k, v, attn_mask=bias)
        else:
            scores = torch.matmul(q * q.shape[-1] ** -0.5, k.transpose(-1, -2))
            y = torch.matmul(torch.softmax(scores + bias, dim=-1), v)
        return self.out(y.transpose(1, 2).reshape(batch, tokens, width))


class Layer(nn.Module):
    def __init__(self, width, hidden, heads, layers):
        super().__init__()
        self.alpha = (2 * layers) ** 0.25
        self.attention = Attention(width, heads)
        self.norm1, self.norm2 = nn.LayerNorm(width), nn.LayerNorm(width)
        self.fc1, self.fc2 = nn.Linear(width, hidden), nn.Linear(hidden, width)

    def forward(self, x, bias, fused):
        x = self.norm1(self.alpha * x + self.attention(x, bias, fused))
        return self.norm2(self.alpha * x + self.fc2(F.gelu(self.fc1(x))))


class Beats(nn.Module):
    def __init__(self, layers=12, width=768, hidden=3072, heads=12, embed=512, groups=16, taps=128):
        super().__init__()
        self.patches = nn.Conv2d(1, embed, 16, 16, bias=False)
        self.norm, self.project = nn.LayerNorm(embed), nn.Linear(embed, width)
        self.position = nn.Conv1d(width, width, taps, padding=taps // 2, groups=groups)
        self.table = nn.Embedding(320, heads)
        self.entry = nn.LayerNorm(width)
        self.layers = nn.ModuleList(Layer(width, hidden, heads, layers) for _ in range(layers))

    def forward(self, images, fused=False):
        x = self.patches(images.unsqueeze(1)).flatten(2).transpose(1, 2)
        x = self.project(self.norm(x))
        x = self.entry(x + F.gelu(self.position(x.transpose(1, 2))[..., :-1]).transpose(1, 2))
        tokens = x.shape[1]
        bias = self.table(buckets(tokens, x.device)).permute(2, 0, 1).unsqueeze(0)
        for layer in self.layers:
            x = layer(x, bias, fused)
        return x.mean(1)


def buckets(tokens, device, count=160, exact=80, farthest=800):
    places = torch.arange(tokens, device=device)
    distance = places[None, :] - places[:, None]
    far = distance.abs()
    steps = torch.log(far.float().clamp(min=1) / exact) / math.log(farthest / exact) * (count - exact)
    near = torch.where(far < exact, far, torch.clamp(exact + steps.long(), max=count - 1))
    return near + (distance > 0).long() * count


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--clips", type=int, default=10)
    parser.add_argument("--batches", type=int, nargs="+", default=[1, 10])
    parser.add_argument("--frames", type=int, default=998)
    parser.add_argument("--times", type=int, default=3, help="repetitions, after one that is not counted")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--bf16", action="store_true", help="autocast to bf16")
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    torch.manual_seed(0)
    net = Beats().to(args.device).eval()
    images = torch.randn(args.clips, args.frames, 128, device=args.device)
    mixed = torch.autocast("cuda" if args.device != "cpu" else "cpu", torch.bfloat16, enabled=args.bf16)
    result = {"torch": torch.__version__}
    for batch in args.batches:
        for way, fused in (("plain", False), ("fused", True)):
            taken = []
            for _ in range(args.times + 1):
                start = time.perf_counter()
                with torch.inference_mode(), mixed:
                    for part in images.split(batch):
                        net(part, fused)
                if args.device != "cpu":
                    torch.cuda.synchronize()
                taken.append(1e3 * (time.perf_counter() - start) / args.clips)
            result[f"batch_{batch}_{way}_ms"] = statistics.median(taken[1:])
    result["peak_rss_mb"] = round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024)
    print(json.dumps(result))


if __name__ == "__main__":
    main()
