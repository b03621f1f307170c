//! What one evaluation of common expressions costs, in nanoseconds: `cargo bench -p lymph-scenarios --bench
//! expressions`. Plain timing of many rounds, the fastest of several: for orders of magnitude, not for 2 %.

#![expect(clippy::print_stdout, reason = "the figures are its result")]
#![expect(clippy::disallowed_methods, reason = "a bench reads the clock")]

use std::hint::black_box;
use std::sync::Arc;
use std::time::Instant;

use lymph_protocol::Timestamp;
use lymph_scenarios::data::{DataFiles, DataKind};
use lymph_scenarios::event::{Event, Keys, Namespace};
use lymph_scenarios::expr::{Env, Expr, Globals, compile};
use lymph_scenarios::line::{Line, Source};

const SOURCES: &[&str] = &[
    "true",
    "evt.Parsed.program == 'sshd'",
    "evt.Parsed.program == 'nginx'",
    "evt.Meta.log_type in ['http_access-log', 'http_error-log']",
    "evt.Meta.log_type in ['a', 'bb', 'ccc', 'dddd', 'http_access-log', 'http_error-log', 'ssh_failed-auth', 'x']",
    "evt.Line.Labels.type == 'syslog'",
    "evt.Meta.service == 'http' && evt.Meta.log_type == 'http_access-log' && evt.Parsed.verb == 'POST'",
    "evt.Meta.log_type == 'http_access-log' && evt.Meta.http_status in ['404', '403', '400'] && evt.Parsed.static_ressource == 'false'",
    "evt.Parsed.verb == 'POST' || evt.Parsed.verb == 'PUT'",
    "evt.Meta.http_path contains '/wp-login.php'",
    "evt.Meta.http_path startsWith '/admin'",
    "evt.Parsed.http_user_agent matches '(?i)sqlmap|nikto'",
    "Upper(evt.Meta.http_path) contains Upper('/wp-login')",
    "Lower(evt.Parsed.request) contains 'union'",
    "any(File('paths.txt'), { evt.Meta.http_path endsWith # })",
    "any(File('paths.txt'), { Upper(evt.Meta.http_path) contains Upper(#) })",
    "any(['/.env', '/.git'], { len(#) > 0 && evt.Meta.http_path contains # })",
    "RegexpInFile(evt.Parsed.http_user_agent, 'agents.txt')",
    "int(evt.Meta.http_status) >= 400",
    "evt.Unmarshaled.caddy.request.headers['User-Agent'][0]",
    "Sprintf('%s:%s', evt.Meta.source_ip, evt.Parsed.verb)",
    "evt.Meta.source_ip + ' ' + evt.Parsed.verb",
    "let x = evt.Meta.http_path; x != '' && x startsWith '/'",
    "JsonExtract(evt.Parsed.json, 'request.remote_ip')",
    "IpInRange(evt.Meta.source_ip, '203.0.113.0/24')",
];

fn main() {
    let mut files = DataFiles::default();
    let paths: String = (0..1_000)
        .map(|n| format!("/secret/path{n}.php\n"))
        .collect();
    files.insert("paths.txt", DataKind::String, paths.as_bytes());
    let agents: String = (0..300)
        .map(|n| format!("^Bad[aA]gent{n}/[0-9.]+\n"))
        .collect();
    files.insert("agents.txt", DataKind::Regexp, agents.as_bytes());

    let mut keys = Keys::default();
    let compiled: Vec<Expr> = SOURCES
        .iter()
        .filter_map(|source| compile(source, Globals::Parser, &mut keys, &files).ok())
        .collect();
    let event = event(keys);
    let env = Env::of(&event, Timestamp::EPOCH);
    for expr in &compiled {
        // Filters are asked for a bool, statics for a value.
        let ns = match expr.eval_bool(&env) {
            Ok(_) => fastest(|| {
                black_box(expr).eval_bool(&Env::of(&event, Timestamp::EPOCH)) == Ok(true)
            }),
            Err(_) => fastest(|| {
                black_box(expr)
                    .eval(&Env::of(&event, Timestamp::EPOCH))
                    .is_ok()
            }),
        };
        println!("{ns:>9.1} ns  {}", expr.source());
    }
}

fn event(keys: Keys) -> Event {
    let mut event = Event::new(Arc::new(keys));
    let source = Arc::new(Source::file("/var/log/nginx/access.log", "syslog"));
    let text =
        b"203.0.113.9 - - [01/Mar/2026:10:00:00 +0000] \"POST /index.php?a=1 HTTP/1.1\" 404 146";
    event.start(&Line {
        text,
        source: &source,
        id: 1,
        received_at: Timestamp::EPOCH,
    });
    for (namespace, name, text) in [
        (Namespace::Parsed, "program", "sshd"),
        (Namespace::Parsed, "verb", "POST"),
        (Namespace::Parsed, "static_ressource", "false"),
        (
            Namespace::Parsed,
            "request",
            "/index.php?a=1&b=select%20Name%20from%20users",
        ),
        (
            Namespace::Parsed,
            "http_user_agent",
            "Mozilla/5.0 (X11; Linux x86_64; rv:109.0) Gecko/20100101 Firefox/115.0",
        ),
        (
            Namespace::Parsed,
            "json",
            r#"{"level":"info","ts":1646861401.52,"request":{"remote_ip":"203.0.113.9"}}"#,
        ),
        (Namespace::Meta, "service", "http"),
        (Namespace::Meta, "log_type", "http_access-log"),
        (Namespace::Meta, "http_status", "404"),
        (
            Namespace::Meta,
            "http_path",
            "/index.php?a=1&b=select%20Name%20from%20users",
        ),
        (Namespace::Meta, "source_ip", "203.0.113.9"),
    ] {
        event.set_by_name(namespace, name, text.as_bytes());
    }
    event.set_data(
        "caddy",
        serde_json::json!({"request": {"headers": {"User-Agent": ["curl/8"]}}}),
    );
    event
}

/// Nanoseconds per call, of the fastest of many short runs: a busy machine interrupts the others.
fn fastest(mut call: impl FnMut() -> bool) -> f64 {
    const CALLS: u32 = 1_000;
    let mut best = f64::MAX;
    for _ in 0..500 {
        let start = Instant::now();
        for _ in 0..CALLS {
            black_box(call());
        }
        best = best.min(start.elapsed().as_nanos() as f64 / f64::from(CALLS));
    }
    best
}
