"""Times the front ends of pretrained networks with torchaudio on one thread, from samples in memory to the network's input;
prints {"ms_beats": ..., "ms_eat": ..., "ms_ced": ...}.

Usage: python torchaudio_fbank.py CLIP.wav    (needs torch and torchaudio; a mono clip of 16 bits at 16 kHz)
"""

import os

# Before the libraries are loaded: they read these once.
for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ[name] = "1"

import json
import statistics
import sys
import time
import warnings
import wave

warnings.filterwarnings("ignore")

import torch
import torchaudio
from torchaudio import transforms as T
from torchaudio.compliance import kaldi

CLIPS = 40
WARM_UP = 3
RATE_HZ = 16_000

torch.set_num_threads(1)
mel = T.MelSpectrogram(RATE_HZ, n_fft=512, win_length=512, hop_length=160, f_min=0, f_max=8000, n_mels=64)
decibels = T.AmplitudeToDB(top_db=120)


def read(path):
    with wave.open(path, "rb") as file:
        data = bytearray(file.readframes(file.getnframes()))
    return (torch.frombuffer(data, dtype=torch.int16).float() / 32768)[None]


def beats(samples):
    bank = kaldi.fbank(samples * 2**15, num_mel_bins=128, sample_frequency=RATE_HZ, frame_length=25, frame_shift=10)
    return (bank - 15.41663) / (2 * 6.55582)


def eat(samples):
    bank = kaldi.fbank(
        samples - samples.mean(),
        htk_compat=True,
        sample_frequency=RATE_HZ,
        use_energy=False,
        window_type="hanning",
        num_mel_bins=128,
        dither=0.0,
        frame_shift=10,
    )
    return (bank + 4.268) / (2 * 4.569)


def ced(samples):
    return decibels(mel(samples))


def median_ms(front_end, samples):
    for _ in range(WARM_UP):
        front_end(samples)
    times_ms = []
    for _ in range(CLIPS):
        start = time.perf_counter()
        front_end(samples)
        times_ms.append(1e3 * (time.perf_counter() - start))
    return statistics.median(times_ms)


def main():
    samples = read(sys.argv[1])
    with torch.inference_mode():
        result = {f"ms_{front_end.__name__}": median_ms(front_end, samples) for front_end in (beats, eat, ced)}
    result["versions"] = f"torchaudio {torchaudio.__version__}"
    print(json.dumps(result))


if __name__ == "__main__":
    main()
