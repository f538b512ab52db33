"""Training and scoring one machine as the DCASE Task 2 baseline's PyTorch autoencoder does, as a peer for asdbench.

Written for this comparison from what that program does, with its costs and its settings: every clip is decoded and
transformed by librosa; the 640-d windows of all clips, training and test, are held in memory as float64; a shuffled
DataLoader collates them one window at a time, each with its label, section, clip name and index; a tenth of the windows
validates every epoch; Adam minimises the mean squared error at batch 256 with autograd's anomaly detection on; test
clips are scored one at a time.

Left out, in the baseline's favour: its pickled cache, its plots and logs, and the two more passes over the training
windows that its Mahalanobis mode makes.

ROOT/MACHINE holds `train` and `test` in a DCASE layout. Prints one JSON object.
"""

import argparse
import json
import resource
import sys
import time
from pathlib import Path

import librosa
import numpy as np
import torch
from torch import nn
from torch.utils.data import DataLoader, Dataset, random_split

N_MELS = 128
N_FFT = 1024
HOP_SAMPLES = 512
FRAMES = 5
VALIDATION_SHARE = 0.1


def arguments():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("root", type=Path, help="folder of a data set in a DCASE layout")
    parser.add_argument("machine", nargs="?", help="machine type; may be left out where there is one only")
    parser.add_argument("--epochs", type=int, default=3)
    parser.add_argument("--batch", type=int, default=256)
    parser.add_argument("--lr", type=float, default=1e-3)
    parser.add_argument("--threads", type=int, default=2, help="threads that PyTorch may use")
    parser.add_argument("--workers", type=int, default=0, help="processes that load batches")
    return parser.parse_args()


def machine_folder(root, machine):
    """The folder that holds `train`, or a message and the end."""
    if machine is None:
        found = sorted(folder.parent for folder in root.glob("*/train") if folder.is_dir())
        if len(found) != 1:
            sys.exit(f"{root}: {len(found)} machines with a train folder; name the one to use")
        return found[0]
    if not (root / machine / "train").is_dir():
        sys.exit(f"{root / machine}: no train folder")
    return root / machine


def windows(path):
    """Log-mel windows of one clip, float64 [frames - 4, 640]."""
    samples, rate_hz = librosa.load(path, sr=None, mono=True)
    mel = librosa.feature.melspectrogram(
        y=samples, sr=rate_hz, n_fft=N_FFT, hop_length=HOP_SAMPLES, n_mels=N_MELS, power=2.0)
    log_mel = 10.0 * np.log10(np.maximum(mel, sys.float_info.epsilon))
    count = max(0, log_mel.shape[1] - FRAMES + 1)
    stacked = np.empty((count, N_MELS * FRAMES))
    for frame in range(FRAMES):
        stacked[:, N_MELS * frame:N_MELS * (frame + 1)] = log_mel[:, frame:frame + count].T
    return stacked


class Windows(Dataset):
    """All windows of some clips, in memory; an item is one window and what is known of its clip."""

    def __init__(self, paths):
        per_clip = [windows(path) for path in paths]
        self.data = np.concatenate(per_clip)
        self.clip = np.repeat(np.arange(len(paths)), [len(clip) for clip in per_clip])
        self.names = [path.name for path in paths]
        self.labels = np.array(["anomaly" in name for name in self.names], dtype=float)
        sections = [name.split("_source")[0].split("_target")[0] for name in self.names]
        known = sorted(set(sections))
        self.sections = np.eye(len(known))[[known.index(section) for section in sections]]

    def __len__(self):
        return len(self.data)

    def __getitem__(self, index):
        clip = self.clip[index]
        return self.data[index], self.labels[clip], self.sections[clip], self.names[clip], index


def autoencoder():
    """640 -> 4 x 128 -> 8 -> 4 x 128 -> 640, each hidden layer with batch norm and ReLU."""
    widths = [N_MELS * FRAMES] + [128] * 4 + [8] + [128] * 4
    layers = []
    for before, after in zip(widths, widths[1:]):
        layers += [nn.Linear(before, after), nn.BatchNorm1d(after), nn.ReLU()]
    return nn.Sequential(*layers, nn.Linear(widths[-1], widths[0]))


def train(model, training, args):
    """Mean loss of every epoch, on the windows that train and on those that validate."""
    held_out = int(VALIDATION_SHARE * len(training))
    fitted, validation = random_split(training, [len(training) - held_out, held_out])
    loader = DataLoader(fitted, batch_size=args.batch, shuffle=True, num_workers=args.workers)
    validation_loader = DataLoader(validation, batch_size=args.batch, num_workers=args.workers)
    optimizer = torch.optim.Adam(model.parameters(), lr=args.lr)
    losses = []
    for _ in range(args.epochs):
        model.train()
        train_loss = 0.0
        with torch.autograd.set_detect_anomaly(True):
            for batch, *_ in loader:
                batch = batch.float()
                if len(batch) < 2:
                    continue  # no batch statistics
                optimizer.zero_grad()
                loss = nn.functional.mse_loss(model(batch), batch)
                loss.backward()
                optimizer.step()
                train_loss += loss.item() / len(loader)
        model.eval()
        validation_loss = 0.0
        with torch.no_grad():
            for batch, *_ in validation_loader:
                batch = batch.float()
                loss = nn.functional.mse_loss(model(batch), batch)
                validation_loss += loss.item() / len(validation_loader)
        losses.append([train_loss, validation_loss])
    return losses


def score(model, test):
    """Mean squared reconstruction error of every test clip."""
    model.eval()
    scores = []
    for clip in range(len(test.names)):
        rows = np.flatnonzero(test.clip == clip)
        loader = DataLoader(torch.utils.data.Subset(test, rows), batch_size=max(1, len(rows)))
        with torch.no_grad():
            for batch, *_ in loader:
                batch = batch.float()
                scores.append(nn.functional.mse_loss(model(batch), batch).item())
    return scores


def main():
    args = arguments()
    torch.set_num_threads(args.threads)
    torch.manual_seed(0)
    folder = machine_folder(args.root, args.machine)
    training_paths = sorted((folder / "train").glob("*.wav"))
    test_paths = sorted(
        path for name in ("test", "source_test", "target_test") for path in (folder / name).glob("*.wav"))
    if not training_paths or not test_paths:
        sys.exit(f"{folder}: {len(training_paths)} training and {len(test_paths)} test clips; both are needed")

    start = time.perf_counter()
    training = Windows(training_paths)
    test = Windows(test_paths)
    loaded = time.perf_counter()
    model = autoencoder()
    losses = train(model, training, args)
    trained = time.perf_counter()
    scores = score(model, test)
    end = time.perf_counter()

    print(json.dumps({
        "seconds": end - start,
        "load_seconds": loaded - start,
        "train_seconds": trained - loaded,
        "score_seconds": end - trained,
        # Linux counts in KiB.
        "peak_rss_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / 1e6,
        "training_clips": len(training_paths),
        "test_clips": len(test_paths),
        "windows": len(training),
        "losses": losses,
        "mean_score": sum(scores) / len(scores),
    }))


if __name__ == "__main__":
    main()
