#!/usr/bin/env bash
# Makes the Python environment that the benchmarks' peers run in. asdbench itself needs no Python.
#
#   scripts/peers/setup.sh [FOLDER]        default: .peers in the working folder
#
# TORCH, LIBROSA, SKLEARN: what to install, as pip understands it, e.g. TORCH=torch==2.2.2. PYTHON: the interpreter.
# pip takes packages from wherever it is configured to; an index of CPU-only builds saves gigabytes.
set -euo pipefail

case "${1:-}" in
    -h | --help)
        sed -n '2,7s/^# \{0,1\}//p' "$0"
        exit 0
        ;;
    -*)
        echo "setup.sh: unknown option $1; give a folder, or --help" >&2
        exit 2
        ;;
esac

folder=${1:-.peers}
interpreter=${PYTHON:-python3}
if ! "$interpreter" -c 'import ensurepip, venv' 2>/dev/null; then
    echo "setup.sh: $interpreter cannot make virtual environments; install Python 3 with venv (Debian: python3-venv)" >&2
    exit 1
fi

if [ -x "$folder/bin/python" ]; then
    echo "using the virtual environment in $folder" >&2
else
    echo "making a virtual environment in $folder with $("$interpreter" --version)" >&2
    "$interpreter" -m venv "$folder"
fi

echo "installing PyTorch, torchaudio, librosa and scikit-learn into it (can take minutes and, with GPU builds, gigabytes)" >&2
# torch before 2.3 was built against numpy 1; newer ones take either.
"$folder/bin/python" -m pip install --quiet --disable-pip-version-check \
    "${TORCH:-torch}" "${TORCHAUDIO:-torchaudio}" "${LIBROSA:-librosa}" "${SKLEARN:-scikit-learn}" "${NUMPY:-numpy<2}"

"$folder/bin/python" - <<'EOF' >&2
import librosa, numpy, sklearn, torch
print(f"ready: torch {torch.__version__}, librosa {librosa.__version__}, "
      f"scikit-learn {sklearn.__version__}, numpy {numpy.__version__}")
EOF
echo "$folder/bin/python"
