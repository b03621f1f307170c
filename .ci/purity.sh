#!/usr/bin/env bash
# What the crates must never do, asked of the machine.
set -euo pipefail
cd "$(dirname "$0")/.."
failed=0
wrong() { echo "purity: $*" >&2; failed=1; }

# The engine builds without the daemon and whatever the daemon needs.
cargo check --quiet -p lymph-node --no-default-features

# The pure crates and the simulator pull in nothing that does IO or keeps time.
for package in lymph-protocol lymph-trust lymph-scenarios lymph-simulations; do
    tree=$(cargo tree -p "$package" -e normal --prefix none --format '{p}' | cut -d' ' -f1 | sort -u)
    for crate in tokio mio libp2p sled notify axum hyper; do
        if grep -qx "$crate" <<<"$tree"; then wrong "$package depends on $crate"; fi
    done
done

# One outside crate, one place.
only() { # CRATE PATTERN ALLOWED-PATH-REGEX
    local found
    found=$(grep -rnE --include='*.rs' "$2" protocol/src scenarios/src trust/src node/src simulations/src | grep -vE "$3" | grep -vE '^[^:]+:[0-9]+: *//' || true)
    if [ -n "$found" ]; then wrong "$1 is named outside of its place:"$'\n'"$found"; fi
}
only bincode '\bbincode::' '^protocol/src/codec'
only negentropy '\bnegentropy::' '^protocol/src/sync'
only chacha20poly1305 '\bchacha20poly1305::' '^protocol/src/seal'
only ed25519-dalek '\bed25519_dalek::' '^protocol/src/signed'
only data-encoding '\bdata_encoding::' '^protocol/src/ticket'
only sled '\bsled::' '^node/src/daemon/store'
only netlink-sys '\bnetlink_sys::' '^node/src/daemon/firewall/netlink'
only notify '\bnotify::' '^node/src/daemon/(tail|wake)'
only libp2p '\blibp2p(::|_)' '^node/src/daemon/net'
only hickory '\bhickory_resolver' '^node/src/daemon/net/seeds'
only jiff '\bjiff::' '^node/src/config/zone'
only rustix '\brustix::' '^node/src/daemon/state'
only 'the YAML crate' '\bserde_saphyr::' '^scenarios/src/document'
# (tokio's Instant paces the loop and never reaches the engine; the engine's time comes from clock.rs. The simulator's progress
# tells people how long a run will take; no result knows it.)
only 'the system clock' '(SystemTime|(^|[^:])\bInstant|std::time::Instant)::now' '^node/src/daemon/(clock|[a-z_/]*tests)\.rs|^simulations/src/progress\.rs|tokio::time::Instant::now'

# The pure crates ask the system nothing.
only std::env '\bstd::env\b|\benv::var' '^(node/src/(cli|config|daemon|main)|simulations/src/main\.rs|scenarios/src/bundled\.rs)'
only std::fs '\bstd::fs\b|\bFile::open' '^(node/src/(cli|config|daemon|main)|simulations/src/main\.rs|scenarios/src/bundled\.rs)'
only threads '\bthread::spawn' '^node/src/(cli|daemon)'

[ "$failed" -eq 0 ] && echo "purity: the pure crates are pure"
exit "$failed"
