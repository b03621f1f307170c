#!/usr/bin/env bash
# What a newcomer sees first: `cargo run --release -- run` as somebody who is not root, with an empty home.
# The daemon must start, say what it watches, and stop when it is asked to.
set -euo pipefail
cd "$(dirname "$0")/.."
target=$1
home=$(mktemp -d)
trap 'rm -rf "$home"' EXIT
cargo_home=${CARGO_HOME:-$HOME/.cargo}
command=(env -i PATH="$PATH" HOME="$home" CARGO_HOME="$cargo_home" RUSTUP_HOME="${RUSTUP_HOME:-$HOME/.rustup}" CARGO_TARGET_DIR="$target")
if [ "$(id -u)" -eq 0 ]; then
    # The sources may lie where others may not look: then the built program stands for `cargo run`.
    chown -R nobody "$home"
    cp "$target/release/lymph" "$home/lymph"
    chmod 755 "$home" "$home/lymph"
    command=(setpriv --reuid nobody --regid nogroup --clear-groups env -i PATH="$PATH" HOME="$home" "$home/lymph" run)
else
    command+=(cargo run --release --quiet -- run)
fi
cargo run --release --quiet -- --version
touch "$home/out"
(cd "$home" && exec "${command[@]}") >"$home/out" 2>&1 &
daemon=$!
for _ in $(seq 100); do
    grep -qi 'watch' "$home/out" && break
    kill -0 "$daemon" 2>/dev/null || break
    sleep 0.1
done
kill -0 "$daemon" 2>/dev/null || { cat "$home/out"; echo "it did not stay"; exit 1; }
sleep 1
kill -TERM "$daemon"
status=0
wait "$daemon" || status=$?
cat "$home/out"
grep -qi 'watch' "$home/out" || { echo "it did not say what it watches"; exit 1; }
[ "$status" -eq 0 ] || { echo "it ended with $status when asked to stop"; exit 1; }
echo "it starts without configuration and without root, and stops when asked"
