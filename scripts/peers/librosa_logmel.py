"""Times WAV reading and log-mel with librosa on one thread; prints {"ms_per_clip": ...}.

Usage: python librosa_logmel.py CLIP.wav    (needs librosa and soundfile)
"""

import os

# Before NumPy is loaded: its BLAS reads these once.
for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMBA_NUM_THREADS"):
    os.environ[name] = "1"

import json
import statistics
import sys
import time

import librosa
import numpy as np
import soundfile

CLIPS = 60
WARM_UP = 5  # librosa imports and compiles parts of itself at first use


def log_mel(path):
    samples, rate_hz = soundfile.read(path, dtype="float32")
    mel = librosa.feature.melspectrogram(
        y=samples, sr=rate_hz, n_fft=1024, hop_length=512, n_mels=128, power=2.0, pad_mode="reflect"
    )
    return librosa.power_to_db(mel, ref=1.0, amin=np.finfo(np.float64).eps, top_db=None)


def main():
    path = sys.argv[1]
    for _ in range(WARM_UP):
        log_mel(path)
    times_ms = []
    for _ in range(CLIPS):
        start = time.perf_counter()
        log_mel(path)
        times_ms.append(1e3 * (time.perf_counter() - start))
    versions = f"librosa {librosa.__version__}, NumPy {np.__version__}"
    print(json.dumps({"ms_per_clip": statistics.median(times_ms), "clips": CLIPS, "versions": versions}))


if __name__ == "__main__":
    main()
