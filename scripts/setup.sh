# Sourced by demo.sh and test.sh: what a build needs on a bare Debian 12 with Rust, installed where it is missing.

say() { printf '\n== %s\n' "$*"; }

as_root() {
    if [ "$(id -u)" -eq 0 ]; then "$@"; else sudo "$@"; fi
}

# Install the Debian packages that are missing.
install_missing() {
    missing=""
    for package in "$@"; do
        dpkg -s "$package" >/dev/null 2>&1 || missing="$missing $package"
    done
    [ -z "$missing" ] && return 0
    if ! command -v apt-get >/dev/null 2>&1; then
        echo "please install (the names are Debian's):$missing" >&2
        exit 1
    fi
    say "installing$missing (Debian packages)"
    as_root apt-get update -q
    # shellcheck disable=SC2086 # a list of package names
    as_root env DEBIAN_FRONTEND=noninteractive apt-get install -y -q --no-install-recommends $missing
}

if ! command -v cargo >/dev/null 2>&1; then
    echo "cargo is missing: install Rust 1.95 or newer (https://rustup.rs), then run this again" >&2
    exit 1
fi

# A C compiler links; OpenBLAS does the linear algebra of the scorers.
install_missing build-essential pkg-config libopenblas-dev

export CARGO_TARGET_DIR="${CARGO_TARGET_DIR:-$PWD/target}"
