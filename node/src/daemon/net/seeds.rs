//! Peers out of the domain name system: TXT records that hold `lymph=<multiaddr>` or `dnsaddr=<multiaddr>`.
//!
//! One task asks for one name at a time, all names at the start and now and again. Anybody can run a seed, and what one
//! says is a hint where to dial, never whom to trust. The next step of the path is `peers`.

use std::net::SocketAddr;
use std::time::Duration;

use hickory_resolver::TokioResolver;
use hickory_resolver::config::{ConnectionConfig, NameServerConfig, ResolverConfig, ResolverOpts};
use hickory_resolver::net::runtime::TokioRuntimeProvider;
use hickory_resolver::proto::rr::RData;
use tokio::sync::mpsc;

use super::convert::ADDRESS_BYTES_MAX;

/// How often the seeds are asked.
const EVERY: Duration = Duration::from_secs(30 * 60);
/// How soon again if nothing came back.
const AGAIN: Duration = Duration::from_secs(60);
/// How many addresses of one name are taken.
const ADDRESSES_MAX: usize = 16;
/// How many names are asked for.
pub(super) const NAMES_MAX: usize = 16;

/// How names are looked up: as the system does it, or through one given server.
#[derive(Clone, Debug)]
pub(super) struct Lookup {
    config: ResolverConfig,
    options: ResolverOpts,
}

impl Lookup {
    /// Through this server, or as the system says. A machine that says nothing has no names, which is no error.
    pub(super) fn new(server: Option<SocketAddr>) -> Self {
        let Some(server) = server else {
            let (config, options) = hickory_resolver::system_conf::read_system_conf()
                .unwrap_or_else(|error| {
                    tracing::debug!(%error, "no system resolver");
                    (ResolverConfig::default(), ResolverOpts::default())
                });
            return Lookup { config, options };
        };
        let mut connection = ConnectionConfig::udp();
        connection.port = server.port();
        let server = NameServerConfig::new(server.ip(), true, vec![connection]);
        Lookup {
            config: ResolverConfig::from_parts(None, Vec::new(), vec![server]),
            options: ResolverOpts::default(),
        }
    }

    /// For whoever builds a resolver of its own.
    pub(super) fn parts(&self) -> (ResolverConfig, ResolverOpts) {
        (self.config.clone(), self.options.clone())
    }
}

/// Start asking; addresses come out as text. The task ends when nobody listens any more.
pub(super) fn start(lookup: &Lookup, mut names: Vec<String>) -> mpsc::Receiver<String> {
    let (tell, found) = mpsc::channel(ADDRESSES_MAX);
    names.truncate(NAMES_MAX);
    let (config, options) = lookup.parts();
    let built = TokioResolver::builder_with_config(config, TokioRuntimeProvider::default())
        .with_options(options)
        .build();
    match built {
        Ok(resolver) if !names.is_empty() => {
            tokio::spawn(ask_for_ever(resolver, names, tell));
        }
        Ok(_) => {}
        Err(error) => tracing::debug!(%error, "no resolver for seeds"),
    }
    found
}

async fn ask_for_ever(resolver: TokioResolver, names: Vec<String>, tell: mpsc::Sender<String>) {
    loop {
        let mut pause = AGAIN;
        for name in &names {
            for address in ask(&resolver, name).await {
                pause = EVERY;
                if tell.send(address).await.is_err() {
                    return;
                }
            }
        }
        tokio::select! {
            () = tokio::time::sleep(pause) => {}
            () = tell.closed() => return,
        }
    }
}

async fn ask(resolver: &TokioResolver, name: &str) -> Vec<String> {
    let answer = match resolver.txt_lookup(name).await {
        Ok(answer) => answer,
        Err(error) => {
            tracing::debug!(name, %error, "a seed did not answer");
            return Vec::new();
        }
    };
    answer
        .answers()
        .iter()
        .filter_map(|record| match &record.data {
            RData::TXT(text) => address_in(&text.txt_data.concat()),
            _ => None,
        })
        .take(ADDRESSES_MAX)
        .collect()
}

fn address_in(text: &[u8]) -> Option<String> {
    let text = std::str::from_utf8(text).ok()?.trim();
    let address = text
        .strip_prefix("lymph=")
        .or_else(|| text.strip_prefix("dnsaddr="))?;
    (address.len() <= ADDRESS_BYTES_MAX).then(|| address.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_holds_an_address_or_something_else() {
        let check = |text: &str, address: Option<&str>| {
            assert_eq!(address_in(text.as_bytes()).as_deref(), address);
        };
        check("lymph=/ip4/1.2.3.4/tcp/5", Some("/ip4/1.2.3.4/tcp/5"));
        check(" dnsaddr=/dns/a/tcp/5 ", Some("/dns/a/tcp/5"));
        check("v=spf1 -all", None);
        check(&format!("lymph={}", "x".repeat(600)), None);
        assert_eq!(address_in(b"lymph=\xff"), None);
    }
}
