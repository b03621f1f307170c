//! What the mesh costs: how much of what is said arrives, how late, and at how much processor time a delivery; and what
//! a node with 20 peers takes when nobody says anything: `cargo bench -p lymph-node --bench mesh [-- MESSAGES]`.
//!
//! All nodes are in this process and speak through memory, with the same handshakes as over TCP. With two processors,
//! what is measured beyond a hundred nodes is the queue for the processor.
#![expect(clippy::print_stdout, reason = "a bench tells its figures")]
#![expect(
    clippy::disallowed_methods,
    reason = "it measures the time that passes"
)]

use std::collections::BTreeMap;
use std::fs;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use lymph_node::daemon::net::{Acceptance, Net, NetConfig, Order, Word};
use tokio::sync::mpsc;
use zeroize::Zeroizing;

const TOPIC: &str = "lymph/1/bench/report";
/// The size of a report with its signature.
const BYTES: usize = 204;
const MESSAGES_A_SECOND: u32 = 10;
/// How many peers each node dials.
const DIALS: usize = 8;
const PATIENCE: Duration = Duration::from_secs(60);
const IDLE: Duration = Duration::from_secs(30);

fn main() {
    let messages = std::env::args()
        .skip(1)
        .find_map(|argument| argument.parse().ok())
        .unwrap_or(100);
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .expect("a runtime");
    // First, while the process is small.
    runtime.block_on(rest());
    for nodes in [50, 100] {
        runtime.block_on(speak(nodes, messages));
    }
}

async fn start(n: usize) -> (Net, String) {
    let mut key = [0; 32];
    key[..8].copy_from_slice(&(n as u64 + 1).to_be_bytes());
    let mut config = NetConfig::new(Zeroizing::new(key));
    config.listen = vec!["/memory/0".to_owned()];
    config.memory_bytes_max = usize::MAX;
    let mut net = Net::start_in_memory(config).expect("it starts");
    loop {
        match net.word().await.expect("it runs") {
            Word::Listening { address } => {
                let address = format!(
                    "{address}/p2p/{}",
                    lymph_node::daemon::net::peer_text(net.id())
                );
                return (net, address);
            }
            _ => continue,
        }
    }
}

async fn connected(net: &mut Net, peers: u64) {
    let all = async {
        while net.figures().peers < peers {
            net.word().await.expect("it runs");
        }
    };
    tokio::time::timeout(PATIENCE, all)
        .await
        .expect("connected");
}

/// When a message was said, and how late each hearer was.
#[derive(Default)]
struct Heard {
    said: BTreeMap<usize, Instant>,
    late: Vec<Duration>,
}

async fn speak(nodes: usize, messages: usize) {
    let mut nets = Vec::new();
    for n in 0..nodes {
        nets.push(start(n).await);
    }
    let addresses: Vec<String> = nets.iter().map(|(_, address)| address.clone()).collect();
    for (n, (net, _)) in nets.iter().enumerate() {
        let topic = TOPIC.to_owned();
        net.order(Order::Join {
            topic,
            flood: false,
        });
        // Far apart and close by, without chance, so that runs compare.
        let peers = (0..DIALS).map(|step| addresses[(n + 1 + step * step * 3) % nodes].clone());
        let peers = peers.filter(|address| *address != addresses[n]).collect();
        net.order(Order::AddPeers { peers });
    }
    for (net, _) in &mut nets {
        connected(net, DIALS as u64 / 2).await;
    }
    // Meshes form at the first heartbeats.
    tokio::time::sleep(Duration::from_secs(8)).await;

    let heard = Arc::new(Mutex::new(Heard::default()));
    let mut speakers = Vec::new();
    for (net, _) in nets {
        let (speak, spoken) = mpsc::channel(16);
        speakers.push(speak);
        tokio::spawn(live(net, spoken, heard.clone()));
    }
    let cpu = cpu_s();
    let mut pace = tokio::time::interval(Duration::from_secs(1) / MESSAGES_A_SECOND);
    for n in 0..messages {
        pace.tick().await;
        let speaker = &speakers[n * 7 % nodes];
        speaker.send(n).await.expect("it lives");
    }
    let all = messages * (nodes - 1);
    let until = Instant::now() + Duration::from_secs(10);
    while heard.lock().expect("whole").late.len() < all && Instant::now() < until {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let cpu = cpu_s() - cpu;
    let mut late = std::mem::take(&mut heard.lock().expect("whole").late);
    late.sort_unstable();
    let ms = |part: f64| {
        let at = (late.len() as f64 * part) as usize;
        let delay = late.get(at.min(late.len().saturating_sub(1)));
        delay.map_or(0.0, |delay| delay.as_secs_f64() * 1000.0)
    };
    println!(
        "{nodes} nodes, {messages} messages: {:.2} % delivered, p50 {:.1} ms, p99 {:.1} ms, max {:.1} ms, {:.0} us CPU a delivery",
        late.len() as f64 * 100.0 / all as f64,
        ms(0.5),
        ms(0.99),
        ms(1.0),
        cpu * 1e6 / late.len().max(1) as f64,
    );
}

async fn live(mut net: Net, mut spoken: mpsc::Receiver<usize>, heard: Arc<Mutex<Heard>>) {
    loop {
        tokio::select! {
            word = net.word() => match word {
                Some(Word::Message { message, bytes, .. }) => {
                    let n = bytes.iter().take_while(|byte| **byte != 0).count();
                    let number = String::from_utf8_lossy(&bytes[..n]).parse::<usize>();
                    let mut heard = heard.lock().expect("whole");
                    if let Some(said) = number.ok().and_then(|n| heard.said.get(&n).copied()) {
                        heard.late.push(said.elapsed());
                    }
                    drop(heard);
                    net.order(Order::Judge { message, verdict: Acceptance::Accept });
                }
                Some(_) => {}
                None => return,
            },
            number = spoken.recv() => {
                let Some(number) = number else { return };
                let mut bytes = number.to_string().into_bytes();
                bytes.resize(BYTES, 0);
                heard.lock().expect("whole").said.insert(number, Instant::now());
                net.order(Order::Publish { topic: TOPIC.to_owned(), bytes });
            }
        }
    }
}

/// A node that 20 others are connected to, all in this process: what the process takes, by the 21.
async fn rest() {
    let before = resident_kib();
    let (mut hub, address) = start(1000).await;
    let topic = TOPIC.to_owned();
    hub.order(Order::Join {
        topic,
        flood: false,
    });
    let mut others = Vec::new();
    for n in 0..20 {
        let (net, _) = start(2000 + n).await;
        let topic = TOPIC.to_owned();
        net.order(Order::Join {
            topic,
            flood: false,
        });
        net.order(Order::AddPeers {
            peers: vec![address.clone()],
        });
        others.push(net);
    }
    connected(&mut hub, 20).await;
    tokio::time::sleep(Duration::from_secs(8)).await;
    let cpu = cpu_s();
    tokio::time::sleep(IDLE).await;
    let cpu = cpu_s() - cpu;
    println!(
        "a node with 20 peers and the 20, at rest: {:.3} % of a processor and {} KiB a node (resident, over what the process had)",
        cpu * 100.0 / IDLE.as_secs_f64() / 21.0,
        resident_kib().saturating_sub(before) / 21,
    );
}

fn cpu_s() -> f64 {
    let text = fs::read_to_string("/proc/self/stat").expect("Linux");
    let after_name = text.rsplit(") ").next().unwrap_or_default();
    // State is the first of these, so utime and stime are the 12th and 13th.
    let ticks: u32 = after_name
        .split(' ')
        .skip(11)
        .take(2)
        .filter_map(|field| field.parse::<u32>().ok())
        .sum();
    f64::from(ticks) / 100.0
}

fn resident_kib() -> u64 {
    let text = fs::read_to_string("/proc/self/status").expect("Linux");
    let row = text.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    row.and_then(|row| row.split_whitespace().next()?.parse().ok())
        .unwrap_or_default()
}
