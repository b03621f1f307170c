//! A lab for tests that need root: a server and its clients in network namespaces of their own, with a `/dev` of
//! their own for syslog. Nothing of the machine is touched, nothing leaves the lab, and it ends with the test.

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread::sleep;
use std::time::Duration;

/// Says loudly that a test does not run here, and lets CI count it.
pub(crate) fn skipped(reason: &str) {
    let name = std::thread::current().name().unwrap_or("a test").to_owned();
    eprintln!("SKIPPED: {name}: {reason}");
    if let Some(path) = std::env::var_os("LYMPH_SKIPPED_LOG") {
        let mut log = fs::OpenOptions::new()
            .append(true)
            .create(true)
            .open(path)
            .unwrap();
        writeln!(log, "SKIPPED: {name}: {reason}").unwrap();
    }
}

/// Asks again and again for as long as that makes sense.
pub(crate) fn eventually<T>(seconds: u32, mut ask: impl FnMut() -> Option<T>) -> Option<T> {
    for _ in 0..seconds * 10 {
        if let Some(answer) = ask() {
            return Some(answer);
        }
        sleep(Duration::from_millis(100));
    }
    None
}

/// A process that ends with the test.
pub(crate) struct Running(pub(crate) Child);

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Asks before it forces: nginx would leave its workers behind.
struct Serving(Running);

impl Drop for Serving {
    fn drop(&mut self) {
        let _ = Command::new("kill").arg(self.0.0.id().to_string()).status();
        eventually(5, || self.0.0.try_wait().unwrap_or_default());
    }
}

/// The server's address in the lab. Benchmarking space: never routed, and not on the never-block list.
pub(crate) const SERVER: &str = "198.18.0.1";

/// A server and clients that reach it from 198.18.1.0/24.
pub(crate) struct Lab {
    /// What serves ends first, then the namespaces.
    daemons: Vec<Serving>,
    container: Option<Running>,
    server: Running,
    clients: Running,
    dir: tempfile::TempDir,
}

impl Lab {
    /// Builds the lab, or says why it cannot.
    pub(crate) fn new() -> Result<Lab, String> {
        if fs::metadata("/proc/self").is_ok_and(|me| std::os::unix::fs::MetadataExt::uid(&me) != 0)
        {
            return Err("namespaces need root".to_owned());
        }
        for tool in [
            "unshare",
            "nsenter",
            "ip",
            "sshd",
            "ssh",
            "ssh-keygen",
            "sshpass",
            "rsyslogd",
            "nginx",
            "curl",
            "nft",
            "openssl",
        ] {
            if find(tool).is_none() {
                return Err(format!("{tool} is not installed"));
            }
        }
        let dir = tempfile::tempdir().unwrap();
        let script = dir.path().join("server.sh");
        fs::write(&script, SERVER_SCRIPT).unwrap();
        let server = spawn(
            Command::new("unshare")
                .args(["-m", "-n", "--propagation", "private", "sh", "-e"])
                .arg(&script)
                .arg(dir.path()),
        );
        let ready = dir.path().join("server.ready");
        eventually(10, || ready.exists().then_some(()))
            .ok_or("the machine lets no namespace be made")?;
        let clients = spawn(Command::new("unshare").args([
            "-n",
            "sh",
            "-ec",
            "ip link set lo up; exec sleep 3600",
        ]));
        let pid = clients.0.id();
        let lab = Lab {
            daemons: Vec::new(),
            container: None,
            server,
            clients,
            dir,
        };
        // The clients' namespace is there once it differs from ours.
        let own = fs::read_link("/proc/self/ns/net").unwrap();
        eventually(5, || {
            fs::read_link(format!("/proc/{pid}/ns/net"))
                .ok()
                .filter(|link| *link != own)
        })
        .ok_or("no second namespace")?;
        lab.on_server(&["ip", "link", "set", "to-server", "netns", &pid.to_string()]);
        let setup = "ip addr add 198.18.1.1/16 dev to-server; ip link set to-server up; \
                     for n in $(seq 2 60); do ip addr add 198.18.1.$n/16 dev to-server; done; \
                     for n in 7 8; do ip addr add 2001:db8:18:$n::5/48 dev to-server nodad; done; \
                     ip route add 198.19.0.0/24 via 198.18.0.1";
        lab.on_client(&["sh", "-ec", setup]);
        Ok(lab)
    }

    /// A path in the lab's folder.
    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// A command that will run on the server.
    pub(crate) fn server_command(&self, program: impl AsRef<std::ffi::OsStr>) -> Command {
        let mut command = Command::new("nsenter");
        command
            .args(["-m", "-n", "-t", &self.server.0.id().to_string(), "--"])
            .arg(program)
            .current_dir("/");
        command
    }

    /// A command that will run where the clients are.
    pub(crate) fn client_command(&self, program: &str) -> Command {
        let mut command = Command::new("nsenter");
        command.args(["-n", "-t", &self.clients.0.id().to_string(), "--", program]);
        command
    }

    fn on_server(&self, line: &[&str]) {
        assert!(
            self.server_command(line[0])
                .args(&line[1..])
                .status()
                .unwrap()
                .success(),
            "{line:?}"
        );
    }

    fn on_client(&self, line: &[&str]) {
        assert!(
            self.client_command(line[0])
                .args(&line[1..])
                .status()
                .unwrap()
                .success(),
            "{line:?}"
        );
    }

    /// Starts a program that serves for as long as the lab stands.
    pub(crate) fn serve(
        &mut self,
        program: impl AsRef<std::ffi::OsStr>,
        arguments: &[&str],
    ) -> u32 {
        let path = find(program.as_ref().to_str().unwrap()).unwrap();
        let mut command = self.server_command(path);
        command
            .args(arguments)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null());
        let child = command.spawn().unwrap();
        let pid = child.id();
        self.daemons.push(Serving(Running(child)));
        pid
    }

    /// A syslog daemon and an OpenSSH server that logs to it; returns the log.
    pub(crate) fn start_sshd(&mut self) -> PathBuf {
        let log = self.path("auth.log");
        let conf = format!(
            "module(load=\"imuxsock\")\nglobal(workDirectory=\"{dir}\")\n*.* action(type=\"omfile\" file=\"{log}\" template=\"RSYSLOG_FileFormat\")\n",
            dir = self.dir.path().display(),
            log = log.display()
        );
        let conf_path = self.path("rsyslog.conf");
        fs::write(&conf_path, conf).unwrap();
        let pid_file = self.path("rsyslog.pid");
        self.serve(
            "rsyslogd",
            &[
                "-n",
                "-f",
                conf_path.to_str().unwrap(),
                "-i",
                pid_file.to_str().unwrap(),
            ],
        );
        eventually(10, || {
            fs::read_to_string(&log)
                .ok()
                .filter(|text| text.contains("rsyslogd"))
        })
        .expect("rsyslogd writes");
        let key = self.path("host_key");
        let made = Command::new("ssh-keygen")
            .args(["-q", "-t", "ed25519", "-N", "", "-f"])
            .arg(&key)
            .status()
            .unwrap();
        assert!(made.success());
        let conf = format!(
            "Port 22022\nListenAddress {SERVER}\nHostKey {}\nUsePAM yes\nPasswordAuthentication yes\n\
             KbdInteractiveAuthentication no\nPermitRootLogin yes\nMaxStartups 200\nUseDNS no\nStrictModes no\n\
             AuthorizedKeysFile {}.pub\nPidFile {}\n",
            key.display(),
            key.display(),
            self.path("sshd.pid").display()
        );
        let conf_path = self.path("sshd_config");
        fs::write(&conf_path, conf).unwrap();
        self.serve("sshd", &["-D", "-f", conf_path.to_str().unwrap()]);
        eventually(10, || {
            fs::read_to_string(&log)
                .ok()
                .filter(|text| text.contains("Server listening"))
        })
        .expect("sshd listens");
        log
    }

    /// An nginx; returns its access log and its process.
    pub(crate) fn start_nginx(&mut self) -> (PathBuf, u32) {
        let log = self.path("access.log");
        let site = self.path("site");
        fs::create_dir(&site).unwrap();
        fs::write(site.join("index.html"), "hello\n").unwrap();
        let dir = self.dir.path().display().to_string();
        let temp: String = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"]
            .map(|kind| format!("{kind}_temp_path {dir}/tmp;\n"))
            .concat();
        let conf = format!(
            "user root;\ndaemon off;\npid {dir}/nginx.pid;\nerror_log {dir}/error.log;\nevents {{}}\nhttp {{\n{temp}access_log {log};\n\
             server {{ listen {SERVER}:8080; listen [2001:db8:18::1]:8080; root {site}; }}\n}}\n",
            log = log.display(),
            site = site.display()
        );
        let conf_path = self.path("nginx.conf");
        fs::write(&conf_path, conf).unwrap();
        self.serve(
            "nginx",
            &[
                "-c",
                conf_path.to_str().unwrap(),
                "-e",
                self.path("error.log").to_str().unwrap(),
            ],
        );
        let pid = eventually(10, || {
            fs::read_to_string(self.path("nginx.pid"))
                .ok()?
                .trim()
                .parse()
                .ok()
        })
        .expect("nginx starts");
        (log, pid)
    }

    /// Somebody who has logged in with a key, and stays.
    pub(crate) fn log_in(&self, from: &str) -> Running {
        let mut command = self.client_command("ssh");
        command.args(["-F", "/dev/null", "-b", from, "-p", "22022", "-i"]);
        command.arg(self.path("host_key")).args([
            "-o",
            "StrictHostKeyChecking=no",
            "-o",
            "UserKnownHostsFile=/dev/null",
            "-o",
            "BatchMode=yes",
        ]);
        command.arg(format!("root@{SERVER}")).args(["sleep", "60"]);
        spawn(command.stderr(Stdio::null()))
    }

    /// A third machine behind the server, as a container is: 198.19.0.2 with a web server of its own on port 8080 and,
    /// for HTTPS with a certificate that it signed itself, on 8443; port 8080 is published as port 8081 of the server
    /// by NAT, and a `DOCKER-USER` chain accepts everything.
    pub(crate) fn start_container(&mut self) -> Result<(), String> {
        if find("iptables-nft").is_none() {
            return Err("iptables is not installed".to_owned());
        }
        let container = spawn(Command::new("unshare").args([
            "-n",
            "sh",
            "-ec",
            "ip link set lo up; exec sleep 3600",
        ]));
        let pid = container.0.id().to_string();
        let own = fs::read_link("/proc/self/ns/net").unwrap();
        eventually(5, || {
            fs::read_link(format!("/proc/{pid}/ns/net"))
                .ok()
                .filter(|link| *link != own)
        })
        .ok_or("no third namespace")?;
        let setup = format!(
            "ip link add to-container type veth peer name to-host; ip addr add 198.19.0.1/24 dev to-container; \
             ip link set to-container up; ip link set to-host netns {pid}; \
             echo 1 > /proc/sys/net/ipv4/ip_forward; \
             iptables-nft -N DOCKER-USER; iptables-nft -A DOCKER-USER -j ACCEPT; iptables-nft -A FORWARD -j DOCKER-USER; \
             iptables-nft -t nat -A PREROUTING -p tcp -d {SERVER} --dport 8081 -j DNAT --to-destination 198.19.0.2:8080"
        );
        self.on_server(&["sh", "-ec", &setup]);
        let inside = format!(
            "ip addr add 198.19.0.2/24 dev to-host; ip link set to-host up; ip route add default via 198.19.0.1; \
             mkdir -p {dir}/inside; echo inside > {dir}/inside/index.html",
            dir = self.dir.path().display()
        );
        let in_container = |program: &str| {
            let mut command = Command::new("nsenter");
            command.args(["-n", "-t", &pid, "--", program]);
            command
        };
        assert!(
            in_container("sh")
                .args(["-ec", &inside])
                .status()
                .unwrap()
                .success()
        );
        let dir = self.dir.path().display().to_string();
        let conf = format!(
            "user root;\ndaemon off;\npid {dir}/inside.pid;\nerror_log {dir}/inside.log;\nevents {{}}\nhttp {{\n\
             client_body_temp_path {dir}/tmp;\nproxy_temp_path {dir}/tmp;\nfastcgi_temp_path {dir}/tmp;\nuwsgi_temp_path {dir}/tmp;\nscgi_temp_path {dir}/tmp;\n\
             access_log off;\nserver {{ listen 8080; listen 8443 ssl; root {dir}/inside;\n\
             ssl_certificate {dir}/inside.pem; ssl_certificate_key {dir}/inside.key; }}\n}}\n"
        );
        self.make_certificate("inside", "198.19.0.2");
        fs::write(self.path("inside.conf"), conf).unwrap();
        let mut nginx = in_container("nginx");
        nginx.arg("-c").arg(self.path("inside.conf"));
        nginx.arg("-e").arg(self.path("inside.log"));
        self.daemons.push(Serving(spawn(&mut nginx)));
        self.container = Some(container);
        eventually(10, || self.path("inside.pid").exists().then_some(()))
            .ok_or("no web server behind")?;
        Ok(())
    }

    /// A key in `NAME.key`, and in `NAME.pem` a certificate for an address that nobody else has signed.
    fn make_certificate(&self, name: &str, address: &str) {
        let mut command = Command::new("openssl");
        command.args(["req", "-x509", "-newkey", "ec", "-pkeyopt"]);
        command.args(["ec_paramgen_curve:prime256v1", "-nodes", "-days", "2"]);
        command.args(["-subj", &format!("/CN={address}"), "-addext"]);
        command.arg(format!("subjectAltName=IP:{address}"));
        command
            .arg("-keyout")
            .arg(self.path(&format!("{name}.key")));
        command.arg("-out").arg(self.path(&format!("{name}.pem")));
        let output = command.output().unwrap();
        assert!(
            output.status.success(),
            "{}",
            String::from_utf8_lossy(&output.stderr)
        );
    }

    /// A command that will run in the container.
    pub(crate) fn container_command(&self, program: &str) -> Command {
        let pid = self.container.as_ref().map(|container| container.0.id());
        let mut command = Command::new("nsenter");
        command.args(["-n", "-t", &pid.unwrap().to_string(), "--", program]);
        command
    }

    /// Whether a client gets an answer from a web server within a second or so.
    pub(crate) fn gets_through(&self, from: &str, url: &str) -> bool {
        let mut command = self.client_command("curl");
        command.args([
            "-s",
            "-g",
            "-m",
            "1.5",
            "-o",
            "/dev/null",
            "--interface",
            from,
            url,
        ]);
        command.status().unwrap().success()
    }

    /// What `nft` says on the server.
    pub(crate) fn nft(&self, arguments: &[&str]) -> String {
        let output = self.server_command("nft").args(arguments).output().unwrap();
        assert!(
            output.status.success(),
            "{arguments:?}: {}",
            String::from_utf8_lossy(&output.stderr)
        );
        String::from_utf8(output.stdout).unwrap()
    }

    /// One failed login of each of these clients, as often as wanted.
    pub(crate) fn fail_to_log_in(&self, from: &str, user: &str, times: usize) {
        let attempts: Vec<Running> = (0..times)
            .map(|_| {
                // Whoever is banned halfway through would wait for ever.
                let mut command = self.client_command("timeout");
                command.args([
                    "15",
                    "sshpass",
                    "-p",
                    "wrong",
                    "ssh",
                    "-F",
                    "/dev/null",
                    "-b",
                    from,
                    "-p",
                    "22022",
                    "-o",
                    "StrictHostKeyChecking=no",
                ]);
                command.args([
                    "-o",
                    "UserKnownHostsFile=/dev/null",
                    "-o",
                    "PreferredAuthentications=password",
                    "-o",
                    "NumberOfPasswordPrompts=1",
                ]);
                command.arg(format!("{user}@{SERVER}")).arg("true");
                Running(
                    command
                        .stdin(Stdio::null())
                        .stdout(Stdio::null())
                        .stderr(Stdio::null())
                        .spawn()
                        .unwrap(),
                )
            })
            .collect();
        for mut attempt in attempts {
            assert!(
                !attempt.0.wait().unwrap().success(),
                "nobody has that password"
            );
        }
    }

    /// Requests of one client, in one connection.
    pub(crate) fn request(&self, from: &str, paths: &[&str]) {
        let mut command = self.client_command("curl");
        command.args([
            "-s",
            "-A",
            "Mozilla/5.0 (X11; Linux x86_64; rv:136.0) Gecko/20100101 Firefox/136.0",
            "--path-as-is",
            "--interface",
            from,
        ]);
        for path in paths {
            command
                .arg(format!("http://{SERVER}:8080{path}"))
                .args(["-o", "/dev/null"]);
        }
        assert!(command.status().unwrap().success(), "nginx answers");
    }
}

fn spawn(command: &mut Command) -> Running {
    Running(
        command
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .spawn()
            .unwrap(),
    )
}

fn find(tool: &str) -> Option<PathBuf> {
    let folders = ["/usr/sbin", "/usr/bin", "/sbin", "/bin"];
    folders
        .iter()
        .map(|folder| Path::new(folder).join(tool))
        .find(|path| path.exists())
}

/// `/dev` and `/run` of its own, one end of a cable, and then nothing but being there.
const SERVER_SCRIPT: &str = r#"
dir=$1
mkdir "$dir/dev" "$dir/tmp"
mount -t tmpfs lab "$dir/dev"
for device in null zero full random urandom tty; do
    touch "$dir/dev/$device"
    mount --bind "/dev/$device" "$dir/dev/$device"
done
mkdir "$dir/dev/pts" "$dir/dev/shm"
mount --bind /dev/pts "$dir/dev/pts"
ln -s pts/ptmx "$dir/dev/ptmx"
ln -s /proc/self/fd "$dir/dev/fd"
mount --rbind "$dir/dev" /dev
mount -t tmpfs lab /run
mkdir /run/sshd
ip link set lo up
ip link add to-clients type veth peer name to-server
ip addr add 198.18.0.1/16 dev to-clients
ip addr add 2001:db8:18::1/48 dev to-clients nodad
ip link set to-clients up
touch "$dir/server.ready"
exec sleep 3600
"#;
