#!/usr/bin/env python3
"""Sound small files of each kind, from which the mutations start. Run in this folder; needs torch. The files are committed."""

import io
import json
import pickle
import struct
import zipfile
from pathlib import Path

import torch


def put(name, content):
    path = Path(name)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content.encode() if isinstance(content, str) else content)


def wav(tag, bits, channels, rate, values, extra=b"", tail=b""):
    block = channels * bits // 8
    fmt = struct.pack("<HHIIHH", tag, channels, rate, rate * block, block, bits) + extra
    chunks = b"fmt " + struct.pack("<I", len(fmt)) + fmt + tail + b"data" + struct.pack("<I", len(values)) + values
    return b"RIFF" + struct.pack("<I", 4 + len(chunks)) + b"WAVE" + chunks


ramp = [(n * 37) % 200 - 100 for n in range(96)]
pcm16 = b"".join(struct.pack("<h", 100 * value) for value in ramp)
put("wav/pcm16.wav", wav(1, 16, 1, 16000, pcm16))
put("wav/pcm16-stereo-list.wav", wav(1, 16, 2, 8000, pcm16, tail=b"LIST\x05\0\0\0abcde\0"))
put("wav/pcm8.wav", wav(1, 8, 1, 44100, bytes(128 + value for value in ramp)))
put("wav/pcm24.wav", wav(1, 24, 1, 48000, b"".join(struct.pack("<i", value << 16)[:3] for value in ramp)))
put("wav/float32.wav", wav(3, 32, 1, 16000, b"".join(struct.pack("<f", value / 100) for value in ramp)))
put("wav/float64.wav", wav(3, 64, 1, 16000, b"".join(struct.pack("<d", value / 100) for value in ramp)))
guid = struct.pack("<HHIH", 22, 16, 4, 1) + bytes.fromhex("000000001000800000aa00389b71")
put("wav/extensible.wav", wav(0xFFFE, 16, 1, 16000, pcm16, extra=guid))

put("names/2022", "\n".join(["fan/train/section_00_source_train_normal_0000_m-n_W.wav",
                             "fan/test/section_00_target_test_anomaly_0003_m-n_Z.wav", "fan/test/section_03_0000.wav"]))
put("names/2021", "fan/train/section_00_source_train_normal_0000.wav\nfan/source_test/section_00_source_test_normal_0000_x.wav")
put("names/2020", "fan/train/normal_id_00_00000000.wav\nfan/test/anomaly_id_00_00000001.wav")
put("names/mimii", "0_dB/fan/id_00/normal/00000000.wav\n6_dB/fan/id_00/abnormal/00000000.wav")
put("names/2025", "fan/train/section_00_source_train_normal_0001_noAttribute.wav\nfan/supplemental/section_00_source_clean_supplemental_1.wav")

config = """extends = []
[data]
root = "data"
machines = ["fan", "valve"]
[frontend.logmel]
n_fft = 1024
fmax_hz = 8000.0
[task.autoencoder]
hidden = 32
bottleneck = 4
[train]
epochs = 3
seeds = [0, 1]
optimizer = { lr = 1e-3 }
[grid]
"task.autoencoder.hidden" = [16, 32]
"""
put("config/autoencoder.toml", config)
put("config/contrastive.toml", '[task.contrastive]\nmethod = "simclr"\n[train]\nbatch_size = 8\nepochs = 2\n')
put("config/separation.toml", '[task.separation]\n[data]\nroot = "d"\non_bad_clip = "skip"\n')
study = """[study]
name = "toy"
[common]
data.root = "data"
train.epochs = 2
[[family]]
name = "AutoEncoder"
config = "ae.toml"
grid."task.autoencoder.hidden" = [8, 16]
[protocol]
"""
put("study/study.toml", study)
put("study/extends.toml", 'extends = "ae.toml"\n[study]\nname = "b"\n')

rows = [f"section_00_{domain}_test_{label}_{n:04}.wav,{0.1 * n + (label == 'anomaly')}"
        for domain in ("source", "target") for label in ("normal", "anomaly") for n in range(3)]
decisions = [row.split(",")[0] + f",{int('anomaly' in row)}" for row in rows]
put("scores/labelled", "\n".join(rows) + "\0\n" + "\n".join(decisions) + "\n")
evaluation = [f"section_00_{n:04}.wav,{0.3 * n}" for n in range(4)]
full = [f"section_00_{n:04}.wav,section_00_{('source', 'target')[n % 2]}_test_{('normal', 'anomaly')[n // 2]}_{n:04}.wav"
        for n in range(4)]
truth = [f"section_00_{n:04}.wav,{n // 2}" for n in range(4)]
put("scores/evaluation", "\ufeff" + "\r\n".join(evaluation) + "\0\0fan\n" + "\n".join(full) + "\n\0" + "\n".join(truth))

put("tables/attributes", "file_name,d1p,d1v,d2p,d2v\nsection_00_source_train_normal_0000.wav,vel,6,loc,A\n"
    "fan/test/section_00_source_test_normal_0000,vel,noAttribute\n\0section_00_0001.wav,1\nsection_00_0002.wav,0\n")


def npy(descr, shape, values):
    text = f"{{'descr': '{descr}', 'fortran_order': False, 'shape': {shape}, }}"
    text = text.ljust((10 + len(text)) // 64 * 64 + 64 - 10 - 1) + "\n"
    return b"\x93NUMPY\x01\0" + struct.pack("<H", len(text)) + text.encode() + values


def archive(files):
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_STORED) as archive:
        for name, content in files:
            archive.writestr(zipfile.ZipInfo(name), content)
    return out.getvalue()


matrix = npy("<f4", "(3, 2)", struct.pack("<6f", 1, 2, 3, 4, 5, 6))
put("npz/matrix.npy", matrix)
put("npz/features.npz", archive([("train.npy", matrix), ("test.npy", matrix)]))

torch.manual_seed(0)
state = {"model": {"a.weight": torch.randn(2, 3), "a.bias": torch.zeros(3, dtype=torch.half)}, "epoch": 3, "name": "x"}
for name, modern in (("zip", True), ("legacy", False)):
    out = io.BytesIO()
    torch.save(state, out, _use_new_zipfile_serialization=modern)
    put(f"checkpoint/{name}.pt", out.getvalue())
put("checkpoint/plain.pkl", pickle.dumps({"a": [1, 2.5, None, True, b"x", (1, "y")], "b": {"c": {3}}}, protocol=2))
header = json.dumps({"__metadata__": {"a": "b"}, "t": {"dtype": "F32", "shape": [3], "data_offsets": [0, 12]},
                     "u": {"dtype": "F16", "shape": [2, 1], "data_offsets": [12, 16]}}).encode()
put("checkpoint/two.safetensors", struct.pack("<Q", len(header)) + header + struct.pack("<3f", 1, 2, 3) + b"\0<\0@")

epoch = {"epoch": 1, "loss": 0.5, "lr": 1e-3, "best": True, "seconds": 0.25, "examples_per_s": 100.0}
lines = [json.dumps(epoch), json.dumps({**epoch, "epoch": 2, "signals": {"accuracy": 0.5}, "warning": "ρ – x"})]
put("metrics/two.jsonl", "\n".join(lines) + "\n")
put("metrics/torn.jsonl", "\n".join(lines)[:-20])

start = {"unix_s": 1, "asdbench": "0.1.0", "burn": "0.22.1", "argv": ["asdbench"], "git": None, "device": "cpu"}
manifest = {"schema": 1, "family": "autoencoder", "config": "h32-b4-8edad271", "config_hash": "8e", "data_fingerprint": "12",
            "machine": "fan", "learnt": ["fan"], "seed": 0, "started": start, "resumed": [], "clips": 18, "skipped": []}
put("manifest/run.json", json.dumps(manifest, indent=1))
