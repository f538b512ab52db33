"""Times contrastive views of a clip with torchaudio on one thread; prints {"ms_plain": ..., "ms_spectral": ..., "ms_all": ...}.

ms_plain:    the clip's log-mel
ms_spectral: white noise, one spectrogram, phase-vocoder time stretch, mel, time and frequency masks
ms_all:      as ms_spectral, with a pitch shift of the waveform before it

Usage: python views.py CLIP.wav    (needs torch and torchaudio; a mono clip of 16 bits)
"""

import os

# Before the libraries are loaded: they read these once.
for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ[name] = "1"

import json
import random
import statistics
import sys
import time
import warnings
import wave

warnings.filterwarnings("ignore")

import torch
import torchaudio
from torchaudio import functional as F
from torchaudio import transforms as T

VIEWS = 60
VIEWS_WITH_SHIFT = 1  # each takes seconds: the resampler builds a filter for every ratio
N_FFT, HOP, BANDS, FRAMES = 1024, 512, 128, 313

torch.set_num_threads(1)
spectrum = T.Spectrogram(N_FFT, hop_length=HOP, power=None)
stretch = T.TimeStretch(HOP, N_FFT // 2 + 1)
mel = T.MelScale(BANDS, 16_000, n_stft=N_FFT // 2 + 1, norm="slaney", mel_scale="slaney")
decibels = T.AmplitudeToDB()
time_mask, band_mask = T.TimeMasking(31), T.FrequencyMasking(16)


def read(path):
    with wave.open(path, "rb") as file:
        data = bytearray(file.readframes(file.getnframes()))
    return (torch.frombuffer(data, dtype=torch.int16).float() / 32768)[None]


def plain(path, _):
    return decibels(mel(spectrum(read(path)).abs().square()))


def spectral(path, numbers, shifted=False):
    samples = read(path)
    noise = torch.randn_like(samples)
    samples = F.add_noise(samples, noise, torch.tensor([numbers.uniform(10, 40)]))
    if shifted:
        samples = F.pitch_shift(samples, 16_000, numbers.choice([-2, -1, 1, 2]), n_fft=N_FFT)
    view = stretch(spectrum(samples), 1.2 ** numbers.uniform(-1, 1)).abs().square()
    view = decibels(mel(view))
    view = torch.nn.functional.pad(view, (0, max(0, FRAMES - view.shape[-1])))[..., :FRAMES]
    fill = view.mean().item()
    for _ in range(2):
        view = band_mask(time_mask(view, fill), fill)
    return view


def everything(path, numbers):
    return spectral(path, numbers, shifted=True)


def median_ms(make, path, views):
    numbers = random.Random(0)
    make(path, numbers)  # warm-up
    times_ms = []
    for _ in range(views):
        start = time.perf_counter()
        make(path, numbers)
        times_ms.append(1e3 * (time.perf_counter() - start))
    return statistics.median(times_ms)


def main():
    path = sys.argv[1]
    with torch.inference_mode():
        result = {
            "ms_plain": median_ms(plain, path, VIEWS),
            "ms_spectral": median_ms(spectral, path, VIEWS),
            "ms_all": median_ms(everything, path, VIEWS_WITH_SHIFT),
        }
    result["versions"] = f"torchaudio {torchaudio.__version__}"
    print(json.dumps(result))


if __name__ == "__main__":
    main()
