//! Clients of an SSH server, and what else writes to `auth.log`.
//!
//! The texts and their order are what OpenSSH 9.2 and 9.9 with PAM write through rsyslog; the delay between
//! "Invalid user" and "Failed password" is PAM's, 1.2 to 3 seconds.

use super::clock::civil;
use super::pen::Pen;
use super::{Birth, Class, Step};

const SECOND: u64 = 1000;
const MINUTE: u64 = 60 * SECOND;
const HOUR: u64 = 60 * MINUTE;

/// The kinds of client.
pub const CLASSES: &[Class] = &[
    hostile("brute_force", 500, 3, brute_force),
    hostile("slow_brute_force", 260, 4, slow_brute_force),
    hostile("user_enumeration", 400, 3, user_enumeration),
    hostile("preauth_scan", 310, 2, preauth_scan),
    hostile("spray", 1320, 0, spray),
    hostile("stealth", 60, 16, stealth),
    hostile("forger", 70, 1, forger),
    benign("office", 6, 24, office),
    benign("user", 1500, 10, user),
    benign("key_collector", 60, 0, key_collector),
    benign("cron_keys", 10, 36, cron_keys),
    benign("monitoring", 4, 30, monitoring),
    benign("ci", 4, 14, ci),
    benign("local", 0, 3, local),
];

const fn hostile(
    name: &'static str,
    per_day: u64,
    standing: u64,
    make: fn(&mut Birth<'_>) -> Step,
) -> Class {
    Class {
        name,
        benign: false,
        per_day,
        standing,
        loud_tries: super::truth::LOUD_TRIES,
        make,
    }
}

const fn benign(
    name: &'static str,
    per_day: u64,
    standing: u64,
    make: fn(&mut Birth<'_>) -> Step,
) -> Class {
    Class {
        benign: true,
        ..hostile(name, per_day, standing, make)
    }
}

const GUESSED: &[&str] = &[
    "admin",
    "test",
    "oracle",
    "ubuntu",
    "user",
    "guest",
    "pi",
    "ftpuser",
    "support",
    "deploy",
    "hadoop",
    "tomcat",
    "jenkins",
    "nagios",
    "zabbix",
    "minecraft",
    "steam",
    "dev",
    "student",
    "odoo",
    "es",
    "elastic",
    "kafka",
    "dspace",
    "vagrant",
    "centos",
    "ec2-user",
    "debian",
    "administrator",
    "demo",
    "web",
    "teamspeak",
    "www",
    "ftp1",
    "solana",
    "validator",
    "eth",
    "sol",
];
const EXISTING: &[&str] = &[
    "root", "root", "root", "root", "git", "postgres", "www-data", "backup", "mail", "daemon",
];
const STAFF: &[&str] = &[
    "alice",
    "bob",
    "carol",
    "dave",
    "erin",
    "frank",
    "grace",
    "heidi",
    "ivan",
    "judy",
    "mallory.k",
    "niaj",
    "olivia",
    "peggy",
    "rupert",
    "sybil",
    "trent",
    "ursula",
    "victor",
    "walter",
    "j.smith",
    "m_mueller",
    "svc-report",
    "anne-marie",
];
const SPRAYED: &[&str] = &[
    "jsmith",
    "svc_backup",
    "mhuber",
    "finance",
    "reception",
    "scanner",
    "kiosk",
    "payroll",
];

#[derive(Clone, Copy)]
enum Closing {
    Closed,
    ByeBye,
    Reset,
}

/// How a connection asks for passwords.
#[derive(Clone, Copy)]
struct Login<'a> {
    user: &'a str,
    /// Whether the machine has that user.
    known: bool,
    tries: u16,
    /// Milliseconds between two tries of one connection.
    pace: u64,
    /// Through `keyboard-interactive` and PAM in place of `password`.
    interactive: bool,
    closing: Closing,
}

impl<'a> Login<'a> {
    fn once(user: &'a str, known: bool) -> Self {
        Login {
            user,
            known,
            tries: 1,
            pace: 500,
            interactive: false,
            closing: Closing::Closed,
        }
    }
}

/// One connection with nothing but wrong passwords. Returns how long it lasts.
fn wrong_passwords(pen: &mut Pen<'_>, login: Login<'_>) -> u64 {
    let Login {
        user,
        known,
        tries,
        pace,
        interactive,
        closing,
    } = login;
    let (program, pid, port, address) = (pen.sshd(), pen.pid(), pen.port(), pen.address.to_owned());
    let invalid = if known { "" } else { "invalid user " };
    let rhost_user = if known {
        format!(" user={user}")
    } else {
        String::new()
    };
    let mut at = pen.chance.between(20, 200);
    if !known {
        pen.say(
            at,
            program,
            pid,
            &format!("Invalid user {user} from {address} port {port}"),
        );
    }
    at += pen.chance.between(5, 600);
    if interactive {
        pen.say(at, program, pid, &format!("Postponed keyboard-interactive for {invalid}{user} from {address} port {port} ssh2 [preauth]"));
    }
    if !known {
        pen.say(
            at,
            program,
            pid,
            "pam_unix(sshd:auth): check pass; user unknown",
        );
    }
    pen.say(
        at,
        program,
        pid,
        &format!("pam_unix(sshd:auth): authentication failure; logname= uid=0 euid=0 tty=ssh ruser= rhost={address} {rhost_user}"),
    );
    at += pen.chance.between(1200, 3000);
    let failed = if interactive {
        "keyboard-interactive/pam"
    } else {
        "password"
    };
    let failed = format!("Failed {failed} for {invalid}{user} from {address} port {port} ssh2");
    let folded = known && !interactive && tries >= 3 && pen.folds();
    for number in 0..tries {
        if number > 0 {
            at += pen.chance.about(pace) + pen.chance.between(1200, 3000);
            if !known {
                pen.say(
                    at - 1100,
                    program,
                    pid,
                    "pam_unix(sshd:auth): check pass; user unknown",
                );
            }
        }
        match (interactive, known) {
            (true, true) => pen.tried(
                at,
                1,
                program,
                pid,
                &format!("error: PAM: Authentication failure for {user} from {address}"),
            ),
            (true, false) => {
                pen.say(
                    at,
                    program,
                    pid,
                    &format!(
                        "error: PAM: Authentication failure for illegal user {user} from {address}"
                    ),
                );
                pen.tried(at + 1, 1, program, pid, &failed);
            }
            (false, _) if !folded || number == 0 => pen.tried(at, 1, program, pid, &failed),
            (false, _) if number + 1 == tries => {
                pen.tried(
                    at,
                    tries - 1,
                    program,
                    pid,
                    &format!("message repeated {} times: [ {failed}]", tries - 1),
                );
            }
            (false, _) => {}
        }
    }
    let kind = if known {
        "authenticating user"
    } else {
        "invalid user"
    };
    if tries >= 6 {
        let prefix = if known { "" } else { "invalid user " };
        pen.say(at + 2, program, pid, &format!("error: maximum authentication attempts exceeded for {prefix}{user} from {address} port {port} ssh2 [preauth]"));
        pen.say(at + 2, program, pid, &format!("Disconnecting {kind} {user} {address} port {port}: Too many authentication failures [preauth]"));
    } else {
        let left = at + pen.chance.between(20, 900);
        close(
            pen,
            left,
            pid,
            &format!("{kind} {user} {address} port {port}"),
            &format!("{address} port {port}"),
            closing,
        );
    }
    if tries >= 2 && !interactive {
        let more = if tries == 2 { "failure" } else { "failures" };
        let text = format!(
            "PAM {} more authentication {more}; logname= uid=0 euid=0 tty=ssh ruser= rhost={address} {rhost_user}",
            tries - 1
        );
        pen.say(at + 950, program, pid, &text);
        if tries > 3 {
            pen.say(
                at + 951,
                program,
                pid,
                &format!("PAM service(sshd) ignoring max retries; {tries} > 3"),
            );
        }
    }
    at + 1000
}

fn close(pen: &mut Pen<'_>, at: u64, pid: u32, whom: &str, peer: &str, closing: Closing) {
    let program = pen.sshd();
    match closing {
        Closing::Closed => pen.say(
            at,
            program,
            pid,
            &format!("Connection closed by {whom} [preauth]"),
        ),
        Closing::Reset => pen.say(
            at,
            program,
            pid,
            &format!("Connection reset by {whom} [preauth]"),
        ),
        Closing::ByeBye => {
            pen.say(
                at,
                program,
                pid,
                &format!("Received disconnect from {peer}:11: Bye Bye [preauth]"),
            );
            pen.say(
                at,
                program,
                pid,
                &format!("Disconnected from {whom} [preauth]"),
            );
        }
    }
}

fn closing(pen: &mut Pen<'_>) -> Closing {
    *pen.chance.pick(&[
        Closing::Closed,
        Closing::Closed,
        Closing::ByeBye,
        Closing::ByeBye,
        Closing::Reset,
    ])
}

/// A session from login to logout. Returns how long it lasts.
fn session(pen: &mut Pen<'_>, after: u64, user: &str, key: Option<&str>, lasts: u64) -> u64 {
    let (program, pid, port, address) = (pen.sshd(), pen.pid(), pen.port(), pen.address.to_owned());
    let child = pen.pid();
    let (number, uid) = (pid % 90_000, 1000 + user.len() * 3);
    let accepted = match key {
        Some(key) => format!(
            "Accepted publickey for {user} from {address} port {port} ssh2: ED25519 SHA256:{key}"
        ),
        None => format!("Accepted password for {user} from {address} port {port} ssh2"),
    };
    let at = after + pen.chance.between(30, 500);
    pen.say(at, program, pid, &accepted);
    pen.say(
        at + 3,
        program,
        pid,
        &format!("pam_unix(sshd:session): session opened for user {user}(uid={uid}) by (uid=0)"),
    );
    pen.say(
        at + 11,
        "systemd-logind",
        612,
        &format!("New session {number} of user {user}."),
    );
    let end = at + lasts;
    pen.say(
        end,
        program,
        child,
        &format!("Received disconnect from {address} port {port}:11: disconnected by user"),
    );
    pen.say(
        end,
        program,
        child,
        &format!("Disconnected from user {user} {address} port {port}"),
    );
    pen.say(
        end + 1,
        program,
        pid,
        &format!("pam_unix(sshd:session): session closed for user {user}"),
    );
    pen.say(
        end + 6,
        "systemd-logind",
        612,
        &format!("Session {number} logged out. Waiting for processes to exit."),
    );
    pen.say(
        end + 8,
        "systemd-logind",
        612,
        &format!("Removed session {number}."),
    );
    end - after
}

fn brute_force(birth: &mut Birth<'_>) -> Step {
    let chance = &mut birth.chance;
    let mut left = if chance.percent(15) {
        6
    } else {
        chance.between(7, 90)
    };
    let (pace, interactive) = (*chance.pick(&[300, 1500, 4000, 12_000]), chance.percent(15));
    let user = if chance.percent(75) {
        *chance.pick(EXISTING)
    } else {
        *chance.pick(GUESSED)
    };
    let known = EXISTING.contains(&user);
    let in_one = *chance.pick(&[1, 1, 1, 2, 3, 6]);
    Box::new(move |pen| {
        let tries = in_one.min(left);
        left -= tries;
        let closing = closing(pen);
        let lasts = wrong_passwords(
            pen,
            Login {
                user,
                known,
                tries: tries as u16,
                pace: 200,
                interactive,
                closing,
            },
        );
        if pen.is_split() && pen.chance.percent(10) {
            let (pid, port, address) = (812, pen.port(), pen.address.to_owned());
            let text = format!(
                "drop connection #0 from [{address}]:{port} on [10.0.0.5]:22 penalty: failed authentication"
            );
            pen.say(lasts + 40, "sshd", pid, &text);
        }
        (left > 0).then(|| lasts + pen.chance.about(pace))
    })
}

fn slow_brute_force(birth: &mut Birth<'_>) -> Step {
    let chance = &mut birth.chance;
    let mut left = chance.between(6, 40);
    let pace = chance.between(45, 112) * SECOND;
    let many_users = chance.percent(40);
    let user = *chance.pick(EXISTING);
    Box::new(move |pen| {
        left -= 1;
        let closing = closing(pen);
        let name = if many_users {
            *pen.chance.pick(GUESSED)
        } else {
            user
        };
        wrong_passwords(
            pen,
            Login {
                closing,
                ..Login::once(name, !many_users)
            },
        );
        (left > 0).then(|| pace + pen.chance.between(0, 3 * SECOND))
    })
}

fn user_enumeration(birth: &mut Birth<'_>) -> Step {
    let chance = &mut birth.chance;
    let mut left = if chance.percent(15) {
        6
    } else {
        chance.between(7, 60)
    };
    let (pace, mut next) = (
        *chance.pick(&[400, 2000, 8000]),
        chance.below(GUESSED.len() as u64) as usize,
    );
    let only_name = chance.percent(20);
    Box::new(move |pen| {
        left -= 1;
        next = (next + 1) % GUESSED.len();
        let name = match pen.chance.below(25) {
            0 => String::new(),
            1 => format!("{}{}", GUESSED[next], pen.chance.below(100)),
            2 => pen.chance.word(7),
            _ => GUESSED[next].to_owned(),
        };
        let lasts = if only_name {
            let (program, pid, port, address) =
                (pen.sshd(), pen.pid(), pen.port(), pen.address.to_owned());
            pen.tried(
                90,
                1,
                program,
                pid,
                &format!("Invalid user {name} from {address} port {port}"),
            );
            close(
                pen,
                260,
                pid,
                &format!("invalid user {name} {address} port {port}"),
                "",
                Closing::Closed,
            );
            300
        } else {
            let closing = closing(pen);
            wrong_passwords(
                pen,
                Login {
                    closing,
                    ..Login::once(&name, false)
                },
            )
        };
        (left > 0).then(|| lasts + pen.chance.about(pace))
    })
}

fn preauth_scan(birth: &mut Birth<'_>) -> Step {
    let chance = &mut birth.chance;
    let mut left = chance.between(6, 45);
    let pace = *chance.pick(&[150, 1000, 3000]);
    let form = chance.below(8);
    Box::new(move |pen| {
        left -= 1;
        preauth_probe(pen, form);
        (left > 0).then(|| pen.chance.about(pace))
    })
}

/// One connection that ends before it names a user. Every form counts as one try.
fn preauth_probe(pen: &mut Pen<'_>, form: u64) {
    let (program, pid, port, address) = (pen.sshd(), pen.pid(), pen.port(), pen.address.to_owned());
    let peer = format!("{address} port {port}");
    let mut tell = |after, tries, text: String| pen.tried(after, tries, program, pid, &text);
    match form {
        0 => {
            tell(
                10,
                0,
                "error: kex_exchange_identification: Connection closed by remote host".to_owned(),
            );
            tell(11, 1, format!("Connection closed by {peer}"));
        }
        1 => tell(
            10,
            1,
            format!("Did not receive identification string from {peer}"),
        ),
        2 => {
            tell(10, 0, r#"error: kex_exchange_identification: client sent invalid protocol identifier "GET / HTTP/1.1""#.to_owned());
            tell(
                11,
                1,
                format!("banner exchange: Connection from {peer}: invalid format"),
            );
        }
        3 => tell(
            10,
            1,
            format!(r"Bad protocol version identification '\026\003\001' from {peer}"),
        ),
        4 => tell(
            40,
            1,
            format!(
                "Unable to negotiate with {peer}: no matching key exchange method found. Their offer: diffie-hellman-group1-sha1,diffie-hellman-group14-sha1 [preauth]"
            ),
        ),
        5 => tell(60, 1, format!("Connection closed by {peer} [preauth]")),
        6 => tell(60, 1, format!("Connection reset by {peer} [preauth]")),
        _ => {
            tell(
                60,
                0,
                format!("Received disconnect from {peer}:11: Bye Bye [preauth]"),
            );
            tell(60, 1, format!("Disconnected from {peer} [preauth]"));
        }
    }
}

/// Many addresses, one to three tries each, at one user: the user of the present two hours.
fn spray(birth: &mut Birth<'_>) -> Step {
    let user = SPRAYED[(birth.now_ms / (2 * HOUR) + birth.seed) as usize % SPRAYED.len()];
    let mut left = birth.chance.between(1, 3);
    Box::new(move |pen| {
        left -= 1;
        wrong_passwords(pen, Login::once(user, false));
        (left > 0).then(|| pen.chance.between(4, 40) * MINUTE)
    })
}

fn stealth(birth: &mut Birth<'_>) -> Step {
    let (mean, mut left) = (birth.chance.between(13, 40), birth.chance.between(10, 150));
    Box::new(move |pen| {
        left -= 1;
        let known = pen.chance.percent(60);
        let user = *pen.chance.pick(if known { EXISTING } else { GUESSED });
        wrong_passwords(pen, Login::once(user, known));
        (left > 0).then(|| pen.chance.about(mean * MINUTE))
    })
}

/// Writes log lines into the user name, to have somebody else banned.
fn forger(birth: &mut Birth<'_>) -> Step {
    let victim = birth.bystander.to_owned();
    let mut left = birth.chance.between(8, 24);
    Box::new(move |pen| {
        left -= 1;
        let port = pen.port();
        let name = match pen.chance.below(5) {
            0 => format!("root from {victim} port {port} ssh2"),
            1 => format!("admin from {victim}"),
            2 => format!("x rhost={victim} "),
            3 => format!("sshd[{port}]: Failed password for root from {victim} port {port} ssh2"),
            _ => victim.clone(),
        };
        let lasts = wrong_passwords(pen, Login::once(&name, false));
        (left > 0).then(|| lasts + pen.chance.between(300, 6000))
    })
}

/// Many people behind one address. Each mistypes at times, and gets in.
fn office(birth: &mut Birth<'_>) -> Step {
    let staff = birth.chance.between(6, 70);
    Box::new(move |pen| {
        let time = civil(pen.now_ms);
        let at_work = (1..6).contains(&time.weekday) && (7..18).contains(&time.hour);
        if !at_work {
            return Some(pen.chance.about(15 * MINUTE));
        }
        let user = *pen.chance.pick(STAFF);
        let after = mistypes(pen, user);
        let lasts = pen.chance.pause(50 * MINUTE);
        session(pen, after, user, None, lasts);
        let rush = time.hour == 8 && time.minute >= 30 || time.hour == 9 && time.minute < 15;
        let logins_a_day = staff * if rush { 30 } else { 7 };
        Some(pen.chance.pause(11 * HOUR / logins_a_day))
    })
}

/// What a person gets wrong before the right password: mostly nothing. Returns when it is over.
fn mistypes(pen: &mut Pen<'_>, user: &str) -> u64 {
    let tries = match pen.chance.below(200) {
        0..170 => return 0,
        170..190 => 1,
        190..197 => 2,
        _ => 3,
    };
    if pen.chance.percent(10) {
        let slip = format!("{user}{}", pen.chance.pick(&["e", "1", " ", "#"]));
        return wrong_passwords(
            pen,
            Login {
                pace: 3000,
                ..Login::once(slip.trim_end(), false)
            },
        ) + 4000;
    }
    wrong_passwords(
        pen,
        Login {
            tries,
            pace: 3500,
            ..Login::once(user, true)
        },
    ) + 3000
}

/// One person at home: up to five wrong passwords, then in, or gives up, or presses control-C.
fn user(birth: &mut Birth<'_>) -> Step {
    let mut logins = birth.chance.between(1, 6);
    let user = *birth.chance.pick(STAFF);
    let key = birth.chance.percent(50).then(|| birth.chance.fingerprint());
    Box::new(move |pen| {
        logins -= 1;
        let mut after = 0;
        match pen.chance.below(20) {
            0 => {
                after = wrong_passwords(
                    pen,
                    Login {
                        tries: 3,
                        pace: 4000,
                        ..Login::once(user, true)
                    },
                ) + 5000
            }
            1 | 2 => {
                after = wrong_passwords(
                    pen,
                    Login {
                        pace: 4000,
                        ..Login::once(user, true)
                    },
                ) + 5000
            }
            3 => {
                let slip = format!("{user}s");
                after = wrong_passwords(
                    pen,
                    Login {
                        tries: 2,
                        pace: 4000,
                        ..Login::once(&slip, false)
                    },
                ) + 6000;
            }
            4 => {
                let (program, pid, port, address) =
                    (pen.sshd(), pen.pid(), pen.port(), pen.address.to_owned());
                pen.say(8000, program, pid, &format!("Connection closed by authenticating user {user} {address} port {port} [preauth]"));
                after = 12_000;
            }
            5 if pen.chance.one_in(4) => {
                wrong_passwords(
                    pen,
                    Login {
                        tries: 5,
                        pace: 9000,
                        ..Login::once(user, true)
                    },
                );
                logins = 0;
                return None;
            }
            _ => {}
        }
        let lasts = pen.chance.pause(40 * MINUTE);
        session(pen, after, user, key.as_deref(), lasts);
        (logins > 0).then(|| HOUR / 2 + pen.chance.pause(4 * HOUR))
    })
}

/// Somebody with more keys in the agent than the server has patience, who then names the right one.
fn key_collector(birth: &mut Birth<'_>) -> Step {
    let (user, key) = (*birth.chance.pick(STAFF), birth.chance.fingerprint());
    let mut logins = birth.chance.between(1, 4);
    Box::new(move |pen| {
        logins -= 1;
        let (program, address) = (pen.sshd(), pen.address.to_owned());
        let mut after = 0;
        for _ in 0..pen.chance.between(1, 2) {
            let (pid, port) = (pen.pid(), pen.port());
            pen.say(after + 700, program, pid, &format!("error: maximum authentication attempts exceeded for {user} from {address} port {port} ssh2 [preauth]"));
            pen.say(after + 700, program, pid, &format!("Disconnecting authenticating user {user} {address} port {port}: Too many authentication failures [preauth]"));
            after += 15_000;
        }
        let lasts = pen.chance.pause(30 * MINUTE);
        session(pen, after, user, Some(&key), lasts);
        (logins > 0).then(|| HOUR + pen.chance.pause(3 * HOUR))
    })
}

/// A machine that fetches or brings something every few minutes with its key.
fn cron_keys(birth: &mut Birth<'_>) -> Step {
    let every = *birth.chance.pick(&[5, 5, 10, 15, 60]) * MINUTE;
    let (user, key) = (
        *birth
            .chance
            .pick(&["backup", "git", "deploy", "borg", "rsync"]),
        birth.chance.fingerprint(),
    );
    let mut first = true;
    Box::new(move |pen| {
        if std::mem::take(&mut first) {
            return Some(pen.chance.below(every));
        }
        let lasts = pen.chance.between(200, 40_000);
        session(pen, 0, user, Some(&key), lasts);
        Some(every - 500 + pen.chance.below(1000))
    })
}

/// A monitor that looks whether the port answers: once a minute at most, for ever.
fn monitoring(birth: &mut Birth<'_>) -> Step {
    let every = *birth.chance.pick(&[60, 120, 300, 300, 300]) * SECOND;
    let form = *birth.chance.pick(&[0, 5, 5, 6]);
    let mut first = true;
    Box::new(move |pen| {
        if std::mem::take(&mut first) {
            return Some(pen.chance.below(every));
        }
        preauth_probe(pen, form);
        Some(every)
    })
}

/// A build machine: looks up the host's keys (five connections at once), then several sessions at once.
fn ci(birth: &mut Birth<'_>) -> Step {
    let (key, mean, scans) = (
        birth.chance.fingerprint(),
        birth.chance.between(10, 50),
        birth.chance.percent(60),
    );
    let mut first = true;
    Box::new(move |pen| {
        if std::mem::take(&mut first) {
            return Some(pen.chance.pause(20 * MINUTE));
        }
        if scans {
            keyscan(pen);
        }
        for number in 0..pen.chance.between(2, 18) {
            let lasts = pen.chance.between(800, 90_000);
            session(pen, 1500 + number * 60, "deploy", Some(&key), lasts);
        }
        Some(4 * MINUTE + pen.chance.pause(mean * MINUTE))
    })
}

/// What `ssh-keyscan` leaves behind.
fn keyscan(pen: &mut Pen<'_>) {
    let offers = [
        "ecdsa-sha2-nistp256,ecdsa-sha2-nistp384,ecdsa-sha2-nistp521",
        "sk-ecdsa-sha2-nistp256@openssh.com",
        "sk-ssh-ed25519@openssh.com",
    ];
    let (program, address) = (pen.sshd(), pen.address.to_owned());
    for after in [20, 24] {
        let (pid, port) = (pen.pid(), pen.port());
        pen.say(
            after,
            program,
            pid,
            &format!("Connection closed by {address} port {port} [preauth]"),
        );
    }
    for offer in offers {
        let (pid, port) = (pen.pid(), pen.port());
        let text = format!(
            "Unable to negotiate with {address} port {port}: no matching host key type found. Their offer: {offer} [preauth]"
        );
        pen.say(30, program, pid, &text);
    }
}

/// Programs of the machine itself that write to the same log. Its address stands in none of the lines.
fn local(birth: &mut Birth<'_>) -> Step {
    let mean = birth.chance.between(6, 12) * SECOND;
    Box::new(move |pen| {
        let (pid, other) = (pen.pid(), pen.pid());
        let user = *pen.chance.pick(STAFF);
        match pen.chance.below(12) {
            0..6 => {
                let whose = *pen.chance.pick(&["root", "root", "www-data", "backup"]);
                pen.say(0, "CRON", pid, &format!("pam_unix(cron:session): session opened for user {whose}(uid=0) by (uid=0)"));
                pen.say(900, "CRON", pid, &format!("pam_unix(cron:session): session closed for user {whose}"));
            }
            6 | 7 => {
                pen.say(0, "sudo", pid, &format!("   {user} : TTY=pts/0 ; PWD=/home/{user} ; USER=root ; COMMAND=/usr/bin/apt update"));
                pen.say(2, "sudo", pid, &format!("pam_unix(sudo:session): session opened for user root(uid=0) by {user}(uid=1000)"));
                pen.say(4000, "sudo", pid, "pam_unix(sudo:session): session closed for user root");
            }
            8 => {
                let text = format!("pam_unix(sudo:auth): authentication failure; logname={user} uid=1000 euid=0 tty=/dev/pts/0 ruser={user} rhost=  user={user}");
                pen.say(0, "sudo", pid, &text);
            }
            9 => pen.say(0, "systemd", pid, &format!("pam_unix(systemd-user:session): session opened for user {user}(uid=1000) by (uid=0)")),
            10 => pen.say(0, "su", other, &format!("FAILED SU (to root) {user} on pts/1")),
            _ => pen.say(0, "polkitd", other, "Registered Authentication Agent for unix-process:1:2 (system bus name :1.4)"),
        }
        Some(pen.chance.pause(mean))
    })
}
