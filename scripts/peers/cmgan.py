"""Time and memory of the separation network in PyTorch, forward and forward + backward, the peer of benches/cmgan.rs.

The network is written here from its description, with the state-dict names of the public implementation, which loads
into it strictly. Prints one JSON object: milliseconds, peak memory in MB, that of this process after the imports, and
with --parts the time of each kind of layer and their sum.
"""

import argparse
import json
import statistics
import time

import torch
from torch import nn
from torch.nn import functional as F


class Dense(nn.Module):
    def __init__(self, channels, depth=4):
        super().__init__()
        self.depth = depth
        for layer in range(1, depth + 1):
            conv = nn.Conv2d(channels * layer, channels, (2, 3), dilation=(2 ** (layer - 1), 1))
            setattr(self, f"conv{layer}", conv)
            setattr(self, f"norm{layer}", nn.InstanceNorm2d(channels, affine=True))
            setattr(self, f"prelu{layer}", nn.PReLU(channels))

    def forward(self, x):
        maps = x
        for layer in range(1, self.depth + 1):
            part = [getattr(self, f"{kind}{layer}") for kind in ("conv", "norm", "prelu")]
            x = F.pad(maps, (1, 1, 2 ** (layer - 1), 0))
            for module in part:
                x = module(x)
            maps = torch.cat([x, maps], dim=1)
        return x


def stage(inputs, channels, kernel, **options):
    conv = nn.Conv2d(inputs, channels, kernel, **options)
    return nn.Sequential(conv, nn.InstanceNorm2d(channels, affine=True), nn.PReLU(channels))


class Encoder(nn.Module):
    def __init__(self, channels):
        super().__init__()
        self.conv_1 = stage(3, channels, (1, 1))
        self.dilated_dense = Dense(channels)
        self.conv_2 = stage(channels, channels, (1, 3), stride=(1, 2), padding=(0, 1))

    def forward(self, x):
        return self.conv_2(self.dilated_dense(self.conv_1(x)))


class SubPixel(nn.Module):
    def __init__(self, channels):
        super().__init__()
        self.conv = nn.Conv2d(channels, 2 * channels, (1, 3))

    def forward(self, x):
        y = self.conv(F.pad(x, (1, 1, 0, 0)))
        batch, channels, time_, frequency = y.shape
        y = y.view(batch, 2, channels // 2, time_, frequency).permute(0, 2, 3, 4, 1)
        return y.reshape(batch, channels // 2, time_, 2 * frequency)


class MaskDecoder(nn.Module):
    def __init__(self, channels, bins):
        super().__init__()
        self.dense_block = Dense(channels)
        self.sub_pixel = SubPixel(channels)
        self.conv_1 = nn.Conv2d(channels, 1, (1, 2))
        self.norm = nn.InstanceNorm2d(1, affine=True)
        self.prelu = nn.PReLU(1)
        self.final_conv = nn.Conv2d(1, 1, (1, 1))
        self.prelu_out = nn.PReLU(bins, init=-0.25)

    def forward(self, x):
        x = self.conv_1(self.sub_pixel(self.dense_block(x)))
        x = self.final_conv(self.prelu(self.norm(x)))
        return self.prelu_out(x.transpose(1, 3)).transpose(1, 3)


class ComplexDecoder(nn.Module):
    def __init__(self, channels):
        super().__init__()
        self.dense_block = Dense(channels)
        self.sub_pixel = SubPixel(channels)
        self.norm = nn.InstanceNorm2d(channels, affine=True)
        self.prelu = nn.PReLU(channels)
        self.conv = nn.Conv2d(channels, 2, (1, 2))

    def forward(self, x):
        return self.conv(self.prelu(self.norm(self.sub_pixel(self.dense_block(x)))))


class Wrapped(nn.Module):
    """A layer behind its norm, under the name `fn`."""

    def __init__(self, dim, fn):
        super().__init__()
        self.fn = fn
        self.norm = nn.LayerNorm(dim)

    def forward(self, x):
        return self.fn(self.norm(x))


class Half(nn.Module):
    def __init__(self, fn):
        super().__init__()
        self.fn = fn

    def forward(self, x):
        return 0.5 * self.fn(x)


class FeedForward(nn.Module):
    def __init__(self, dim, dropout):
        super().__init__()
        up, down = nn.Linear(dim, 4 * dim), nn.Linear(4 * dim, dim)
        self.net = nn.Sequential(up, nn.SiLU(), nn.Dropout(dropout), down, nn.Dropout(dropout))

    def forward(self, x):
        return self.net(x)


class Attention(nn.Module):
    def __init__(self, dim, heads, dropout, reach=512):
        super().__init__()
        self.heads, self.reach = heads, reach
        self.to_q = nn.Linear(dim, dim, bias=False)
        self.to_kv = nn.Linear(dim, 2 * dim, bias=False)
        self.to_out = nn.Linear(dim, dim)
        self.rel_pos_emb = nn.Embedding(2 * reach + 1, dim // heads)
        self.dropout = nn.Dropout(dropout)

    def forward(self, x):
        batch, length, dim = x.shape
        split = [t.view(batch, length, self.heads, -1).transpose(1, 2)
                 for t in (self.to_q(x), *self.to_kv(x).chunk(2, dim=-1))]
        q, k, v = split
        scale = (dim // self.heads) ** -0.5
        places = torch.arange(length, device=x.device)
        distance = (places[:, None] - places[None, :]).clamp(-self.reach, self.reach) + self.reach
        dots = torch.einsum("bhid,bhjd->bhij", q, k) * scale
        dots = dots + torch.einsum("bhnd,nrd->bhnr", q, self.rel_pos_emb(distance)) * scale
        y = torch.einsum("bhij,bhjd->bhid", dots.softmax(dim=-1), v)
        return self.dropout(self.to_out(y.transpose(1, 2).reshape(batch, length, dim)))


class Turn(nn.Module):
    def forward(self, x):
        return x.transpose(1, 2)


class Depthwise(nn.Module):
    def __init__(self, channels, kernel):
        super().__init__()
        self.pads = (kernel // 2, kernel // 2 - (kernel + 1) % 2)
        self.conv = nn.Conv1d(channels, channels, kernel, groups=channels)

    def forward(self, x):
        return self.conv(F.pad(x, self.pads))


class ConvModule(nn.Module):
    def __init__(self, dim):
        super().__init__()
        self.net = nn.Sequential(
            nn.LayerNorm(dim), Turn(), nn.Conv1d(dim, 4 * dim, 1), nn.GLU(dim=1), Depthwise(2 * dim, 31),
            nn.BatchNorm1d(2 * dim), nn.SiLU(), nn.Conv1d(2 * dim, dim, 1), Turn(),
        )

    def forward(self, x):
        return self.net(x)


class Conformer(nn.Module):
    def __init__(self, dim, heads=4, dropout=0.2):
        super().__init__()
        self.ff1 = Half(Wrapped(dim, FeedForward(dim, dropout)))
        self.attn = Wrapped(dim, Attention(dim, heads, dropout))
        self.conv = ConvModule(dim)
        self.ff2 = Half(Wrapped(dim, FeedForward(dim, dropout)))
        self.post_norm = nn.LayerNorm(dim)

    def forward(self, x):
        for step in (self.ff1, self.attn, self.conv, self.ff2):
            x = step(x) + x
        return self.post_norm(x)


class Block(nn.Module):
    def __init__(self, channels):
        super().__init__()
        self.time_conformer = Conformer(channels)
        self.freq_conformer = Conformer(channels)

    def forward(self, x):
        batch, channels, time_, frequency = x.shape
        x = x.permute(0, 3, 2, 1).reshape(batch * frequency, time_, channels)
        x = self.time_conformer(x) + x
        x = x.view(batch, frequency, time_, channels).transpose(1, 2).reshape(batch * time_, frequency, channels)
        x = self.freq_conformer(x) + x
        return x.view(batch, time_, frequency, channels).permute(0, 3, 1, 2)


class Generator(nn.Module):
    def __init__(self, channels, blocks, bins=201):
        super().__init__()
        self.blocks = blocks
        self.dense_encoder = Encoder(channels)
        for number in range(1, blocks + 1):
            setattr(self, f"TSCB_{number}", Block(channels))
        self.mask_decoder = MaskDecoder(channels, bins)
        self.complex_decoder = ComplexDecoder(channels)

    def forward(self, spectrum):
        magnitude = spectrum.square().sum(1, keepdim=True).add(1e-12).sqrt()
        x = self.dense_encoder(torch.cat([magnitude, spectrum], dim=1))
        for number in range(1, self.blocks + 1):
            x = getattr(self, f"TSCB_{number}")(x)
        return self.mask_decoder(x) * spectrum + self.complex_decoder(x)


class Separator(nn.Module):
    def __init__(self, channels, blocks, hop):
        super().__init__()
        self.net, self.hop = Generator(channels, blocks), hop
        self.register_buffer("window", torch.hamming_window(400))

    def forward(self, wave):
        rms = wave.square().mean(1, keepdim=True).sqrt()
        x = torch.stft(wave / rms, 400, self.hop, window=self.window, return_complex=True)
        x = torch.view_as_real(x).permute(0, 3, 2, 1)  # [batch, 2, time, bins]
        x = x * x.square().sum(1, keepdim=True).add(1e-12).pow(-0.35)
        y = self.net(x)
        y = y * y.square().sum(1, keepdim=True).add(1e-12).pow((1 / 0.3 - 1) / 2)
        y = torch.view_as_complex(y.permute(0, 3, 2, 1).contiguous())
        return torch.istft(y, 400, self.hop, window=self.window, length=wave.shape[1]) * rms


def loss_of(estimate, target):
    dot = (estimate * target).sum(1, keepdim=True)
    part = dot / target.square().sum(1, keepdim=True) * target
    return -10 * torch.log10(part.square().sum(1) / (part - estimate).square().sum(1)).mean()


def timed(work, times, device):
    taken = []
    for _ in range(times + 1):
        start = time.perf_counter()
        work()
        if device != "cpu":
            torch.cuda.synchronize()
        taken.append(1e3 * (time.perf_counter() - start))
    return statistics.median(taken[1:])


def resident_mb(field):
    """`VmRSS` (now) or `VmHWM` (the most so far) of this process; None where there is no /proc.

    Not getrusage, whose maximum includes what the process was before it became this program.
    """
    try:
        with open("/proc/self/status", encoding="ascii") as status:
            return next((int(line.split()[1]) / 1024 for line in status if line.startswith(field + ":")), None)
    except FileNotFoundError:
        return None


def peak_mb(device):
    return resident_mb("VmHWM") if device == "cpu" else torch.cuda.max_memory_allocated() / 2**20


def parts_of(module):
    """(kind, the module whose input it gets, the module that is timed) of disjoint parts.

    They cover the network but for its transforms, turns of axes and sums.
    """
    whole = (Dense, SubPixel, ConvModule, nn.Conv2d, nn.LayerNorm, nn.PReLU)
    before = None
    for child in module.children():
        if isinstance(before, nn.InstanceNorm2d):
            yield "InstanceNorm2d + PReLU", before, nn.Sequential(before, child)
        elif isinstance(child, Half):
            yield "FeedForward", child, child
        elif isinstance(child, Wrapped) and isinstance(child.fn, Attention):
            yield "Attention", child, child
        elif isinstance(child, whole):
            yield type(child).__name__, child, child
        else:
            yield from parts_of(child)
        before = child


def part_times(net, wave, times):
    """Milliseconds of forward (evaluating) and of forward + backward (training) of each kind, and of all."""
    calls, hooks = [], []
    for kind, first, part in parts_of(net):
        def note(_module, inputs, _output, kind=kind, part=part):
            calls.append((kind, part, inputs[0].detach()))

        hooks.append(first.register_forward_hook(note))
    with torch.no_grad():
        net(wave)
    for hook in hooks:
        hook.remove()
    found, total = {}, {"forward_ms": 0.0, "both_ms": 0.0, "calls": 0}
    for kind, part, x in calls:
        x = x.clone().requires_grad_()

        def both(part=part, x=x):
            x.grad = None
            part.zero_grad(set_to_none=True)
            part(x).sum().backward()

        part.eval()
        with torch.no_grad():
            forward = timed(lambda: part(x), times, "cpu")
        part.train()
        trained = timed(both, times, "cpu")
        for entry in (found.setdefault(kind, dict.fromkeys(total, 0)), total):
            entry["forward_ms"] += forward
            entry["both_ms"] += trained
            entry["calls"] += 1
    return found, total


def main():
    import_mb = resident_mb("VmRSS")
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--channels", type=int, default=64)
    parser.add_argument("--blocks", type=int, default=0)
    parser.add_argument("--hop", type=int, default=100)
    parser.add_argument("--batch", type=int, default=1)
    parser.add_argument("--times", type=int, default=3)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--parts", action="store_true")
    parser.add_argument("--forward-only", action="store_true", help="memory of inference")
    args = parser.parse_args()
    if args.device == "cuda" and not torch.cuda.is_available():
        raise SystemExit("this PyTorch reaches no CUDA device")
    torch.set_num_threads(args.threads)
    torch.manual_seed(0)
    device = args.device
    net = Separator(args.channels, args.blocks, args.hop).to(device)
    target = torch.sin(torch.arange(32000) * 0.05).repeat(args.batch, 1).to(device)
    wave = target + 0.5 * torch.randn(args.batch, 32000, device=device)
    parameters = sum(p.numel() for p in net.net.parameters())
    answer = {"torch": torch.__version__, "parameters": parameters, "import_mb": import_mb}

    def step():
        net.zero_grad(set_to_none=True)
        loss_of(net(wave), target).backward()

    net.train()
    if not args.forward_only:
        answer["step_ms"] = timed(step, args.times, device)
        answer["peak_mb"] = peak_mb(device)
    net.eval()
    with torch.no_grad():
        answer["forward_ms"] = timed(lambda: net(wave), args.times, device)
    if args.forward_only:
        answer["peak_mb"] = peak_mb(device)
    if args.parts:
        answer["parts"], answer["parts_sum"] = part_times(net, wave, args.times)
    print(json.dumps(answer))


if __name__ == "__main__":
    main()
