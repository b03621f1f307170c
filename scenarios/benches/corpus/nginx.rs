//! Clients of a web server behind nginx: a shop, a blog, a JSON interface, a private area, in one access log.
//!
//! Field values are escaped as nginx does it: `"`, `\` and bytes outside of printable ASCII become `\xHH`.

use super::clock::civil;
use super::pen::{Pen, Request};
use super::{Birth, Class, Step};

const SECOND: u64 = 1000;
const MINUTE: u64 = 60 * SECOND;
const HOUR: u64 = 60 * MINUTE;

/// A page is what every visitor fetches: a crawl is loud from 60 pages in ten minutes on.
const LOUD_CRAWL: usize = 60;
/// A missing page happens to everybody: a burst of 4xx answers is loud from 40 in ten minutes on.
const LOUD_BURST: usize = 40;

/// The kinds of client.
pub const CLASSES: &[Class] = &[
    hostile("probing", 3250, 8, probing),
    hostile("path_traversal", 1380, 4, path_traversal),
    hostile("sqli", 1250, 4, sqli),
    hostile("xss", 880, 3, xss),
    hostile("sensitive_files", 1750, 5, sensitive_files),
    hostile("wp_login", 2000, 6, wp_login),
    hostile("xmlrpc", 1000, 3, xmlrpc),
    hostile("bad_user_agent", 1000, 3, bad_user_agent),
    Class {
        loud_tries: LOUD_CRAWL,
        ..hostile("crawl", 420, 1, crawl)
    },
    hostile("garbage", 1250, 4, garbage),
    hostile("basic_auth", 1050, 3, basic_auth),
    Class {
        loud_tries: LOUD_BURST,
        ..hostile("burst_4xx", 650, 2, burst_4xx)
    },
    hostile("stealth", 380, 25, stealth),
    hostile("distributed", 10000, 0, distributed),
    hostile("forger", 380, 1, forger),
    benign("browser", 7000, 60, browser),
    benign("office", 10, 8, office),
    benign("broken_links", 700, 4, broken_links),
    benign("search_engine", 15, 9, search_engine),
    benign("link_checker", 12, 1, link_checker),
    benign("monitoring", 10, 14, monitoring),
    benign("api_client", 60, 30, api_client),
    benign("mobile_app", 2500, 20, mobile_app),
    benign("feed_reader", 120, 120, feed_reader),
    benign("blog_author", 120, 2, blog_author),
    benign("private_area", 150, 10, private_area),
    benign("webhook", 3, 6, webhook),
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

const SITE: &str = "https://shop.example.net";
const BROWSERS: &[&str] = &[
    "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/134.0.0.0 Safari/537.36",
    "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/18.3 Safari/605.1.15",
    "Mozilla/5.0 (X11; Linux x86_64; rv:136.0) Gecko/20100101 Firefox/136.0",
    "Mozilla/5.0 (iPhone; CPU iPhone OS 18_3 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/18.3 Mobile/15E148 Safari/604.1",
    "Mozilla/5.0 (Linux; Android 10; K) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/134.0.0.0 Mobile Safari/537.36",
    "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/134.0.0.0 Safari/537.36 Edg/134.0.0.0",
];
const SCRIPTS: &[&str] = &[
    "python-requests/2.32.3",
    "Go-http-client/1.1",
    "curl/8.5.0",
    "Mozilla/5.0",
    "-",
];
const BAD_AGENTS: &[&str] = &[
    "Mozilla/5.00 (Nikto/2.5.0) (Evasions:None) (Test:Port Check)",
    "sqlmap/1.8.2#stable (https://sqlmap.org)",
    "masscan/1.3 (https://github.com/robertdavidgraham/masscan)",
    "Mozilla/5.0 zgrab/0.x",
    "Nuclei - Open-source project (github.com/projectdiscovery/nuclei)",
    "WPScan v3.8.25 (https://wpscan.com/wordpress-security-scanner)",
    "gobuster/3.6",
    "Fuzz Faster U Fool v2.1.0-dev",
    "feroxbuster/2.10.1",
    "DirBuster-1.0-RC1 (http://www.owasp.org/index.php/Category:OWASP_DirBuster_Project)",
    "w3af.org",
    "Mozilla/5.0 (compatible; Nmap Scripting Engine; https://nmap.org/book/nse.html)",
    "Acunetix Web Vulnerability Scanner",
    "Hydra",
];
const ENGINES: &[&str] = &[
    "Mozilla/5.0 (compatible; Googlebot/2.1; +http://www.google.com/bot.html)",
    "Mozilla/5.0 (compatible; bingbot/2.0; +http://www.bing.com/bingbot.htm)",
    "Mozilla/5.0 (compatible; YandexBot/3.0; +http://yandex.com/bots)",
    "DuckDuckBot/1.1; (+http://duckduckgo.com/duckduckbot.html)",
    "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_5) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/13.1.1 Safari/605.1.15 (Applebot/0.1; +http://www.apple.com/go/applebot)",
    "Mozilla/5.0 (compatible; archive.org_bot +http://archive.org/details/archive.org_bot)",
    "Mozilla/5.0 AppleWebKit/537.36 (KHTML, like Gecko; compatible; GPTBot/1.2; +https://openai.com/gptbot)",
];
const PROBED: &[&str] = &[
    "/phpmyadmin/index.php",
    "/pma/index.php",
    "/admin/config.php",
    "/wp-admin/setup-config.php",
    "/cgi-bin/luci",
    "/boaform/admin/formLogin",
    "/HNAP1/",
    "/manager/html",
    "/solr/admin/info/system",
    "/actuator/health",
    "/vendor/phpunit/phpunit/src/Util/PHP/eval-stdin.php",
    "/autodiscover/autodiscover.json",
    "/owa/auth/logon.aspx",
    "/remote/login",
    "/dana-na/auth/url_default/welcome.cgi",
    "/login.action",
    "/console/login/LoginForm.jsp",
    "/geoserver/web/",
    "/hudson",
    "/jenkins/login",
    "/druid/index.html",
    "/nacos/",
    "/api/jsonws/invoke",
    "/_ignition/execute-solution",
    "/telescope/requests",
    "/shell.php",
    "/alfa.php",
    "/wso.php",
    "/c99.php",
    "/r57.php",
    "/adminer.php",
    "/mysql/admin/index.php",
    "/dbadmin/",
    "/administrator/index.php",
    "/user/login",
    "/setup.cgi",
    "/GponForm/diag_Form?style/",
    "/goform/webLogin",
    "/currentsetting.htm",
    "/wp-includes/wlwmanifest.xml",
    "/wordpress/wp-includes/wlwmanifest.xml",
    "/xmlrpc.php?rsd",
    "/cgi-bin/authLogin.cgi",
    "/level/15/exec/-/sh/run/CR",
    "/v2/_catalog",
    "/containers/json",
    "/server-status",
    "/struts2-showcase/index.action",
    "/invoker/readonly",
    "/axis2/axis2-admin/",
    "/sap/public/info",
    "/+CSCOE+/logon.html",
    "/vpn/index.html",
    "/global-protect/login.esp",
    "/lib/phpunit/phpunit/src/Util/PHP/eval-stdin.php",
    "/public/index.php?s=/index/think/app/invokefunction&function=call_user_func_array",
    "/index.php?lang=../../../../../tmp/index1",
    "/portal/redlion",
    "/ecp/Current/exporttool/microsoft.exchange.ediscovery.exporttool.application",
];
const SENSITIVE: &[&str] = &[
    "/.env",
    "/.git/config",
    "/.git/HEAD",
    "/.aws/credentials",
    "/.ssh/id_rsa",
    "/.DS_Store",
    "/backup.sql",
    "/dump.sql",
    "/db.sql.gz",
    "/wp-config.php.bak",
    "/wp-config.php~",
    "/config.php.bak",
    "/.htpasswd",
    "/.svn/entries",
    "/.env.production",
    "/api/.env",
    "/app/.env",
    "/laravel/.env",
    "/.env.bak",
    "/.npmrc",
    "/.docker/config.json",
    "/.kube/config",
    "/id_rsa",
    "/config.json",
    "/credentials.json",
    "/.vscode/sftp.json",
    "/sftp-config.json",
    "/web.config",
    "/phpinfo.php",
    "/.bash_history",
    "/backup.zip",
    "/www.tar.gz",
    "/.git/index",
];
const TRAVERSALS: &[&str] = &[
    "/cgi-bin/.%2e/.%2e/.%2e/.%2e/etc/passwd",
    "/../../../../../../etc/passwd",
    "/static/..%2f..%2f..%2f..%2fetc%2fpasswd",
    "/cgi-bin/%%32%65%%32%65/%%32%65%%32%65/%%32%65%%32%65/bin/sh",
    "/images/../../../../windows/win.ini",
    "/download?file=../../../../etc/shadow",
    "/index.php?page=..%2F..%2F..%2F..%2Fetc%2Fpasswd",
    "/..%5c..%5c..%5cwindows%5cwin.ini",
    "/theme/META-INF/%c0%ae%c0%ae/%c0%ae%c0%ae/etc/passwd",
    "/view.php?doc=....//....//....//etc/passwd",
    "/icons/.%2e/%2e%2e/%2e%2e/etc/passwd",
    "/get?path=/etc/passwd%00.png",
];
const INJECTIONS: &[&str] = &[
    "/product?id=1%27%20OR%20%271%27=%271",
    "/product?id=1%20UNION%20SELECT%20NULL,NULL,version()--",
    "/list?sort=(SELECT%20SLEEP(5))",
    "/product?id=1;WAITFOR%20DELAY%20%270:0:5%27--",
    "/search?q=%27+union+all+select+table_name+from+information_schema.tables--+-",
    "/item?id=-1+UNION+SELECT+1,group_concat(user,0x3a,password),3+from+users",
    "/item?id=1%20AND%201=1",
    "/item?id=1%20AND%20EXTRACTVALUE(1,CONCAT(0x5c,version()))",
    "/login?user=admin%27--&pass=x",
    "/product?id=1%20and%20benchmark(10000000,md5(1))",
    "/q?id=1/**/UNION/**/SELECT/**/1,2,3",
    "/item?id=1%20ORDER%20BY%2010--+",
    "/a?x=1%27%20AND%20(SELECT%201%20FROM%20pg_sleep(5))--",
    "/cat?id=99999%20or%201%3D1%23",
    "/p?id=1%20AND%20updatexml(1,concat(0x7e,user()),1)",
];
const SCRIPTINGS: &[&str] = &[
    "/search?q=%3Cscript%3Ealert(1)%3C/script%3E",
    "/search?q=%22%3E%3Cimg%20src=x%20onerror=alert(1)%3E",
    "/p?name=%3Csvg/onload=alert(document.domain)%3E",
    "/x?u=javascript:alert(1)",
    "/c?c=%3Ciframe%20src=javascript:alert(1)%3E",
    "/q?s=%3Cbody%20onload=alert(1)%3E",
    "/search?q=<script>alert(9)</script>",
    "/v?t=%22onmouseover=%22alert(1)",
    "/a?b=%3Cscript%20src=//evil.example/x.js%3E",
    "/s?k=%3Cdetails%20open%20ontoggle=confirm(1)%3E",
    "/m?n=%3CScRiPt%3Eprompt(1)%3C/ScRiPt%3E",
    "/r?to=data:text/html;base64,PHNjcmlwdD5hbGVydCgxKTwvc2NyaXB0Pg==",
];
const GARBAGE: &[&str] = &[
    r"\x16\x03\x01\x02\x00\x01\x00\x01\xFC\x03\x03\xC5\x1B",
    r"\x16\x03\x01\x00\xEE\x01\x00\x00\xEA\x03\x03",
    "",
    r"\x03\x00\x00/*\xE0\x00\x00\x00\x00\x00Cookie: mstshash=Administr",
    r"\x04\x01\x00P\xC6\xCE\x0Eu0\x00",
    "CONNECT api.ipify.org:443 HTTP/1.1",
    "MGLNDD_198.19.4.4_80",
    "t3 12.1.2",
    "SSH-2.0-Go",
    r"\x00\x00\x00\xA4\xFFSMBr",
    "PRI * HTTP/2.0",
    r"OPTIONS sip:nm SIP/2.0",
    "GET / HTTP/1.1\\x0d",
    "FOO / HTTP/1.1",
    "TRACE / HTTP/1.1",
    r"\x05\x01\x00",
    "HELP",
    "*1",
];
const WORDS: &[&str] = &[
    "lamp",
    "chair",
    "oak-table",
    "red-sofa",
    "blanket",
    "mirror",
    "desk",
    "shelf",
    "carpet",
    "vase",
    "clock",
    "frame",
    "candle",
    "stool",
    "bench",
    "cabinet",
    "drawer",
    "pillow",
    "curtain",
    "hook",
    "basket",
    "tray",
    "kettle",
    "teapot",
    "bowl",
    "plate",
];

/// A `GET` that is answered.
fn get(pen: &mut Pen<'_>, after: u64, tries: u16, path: &str, status: u16, agent: &str) {
    fetch(
        pen,
        after,
        tries,
        &format!("GET {path} HTTP/1.1"),
        status,
        "-",
        "-",
        agent,
    );
}

#[expect(
    clippy::too_many_arguments,
    reason = "the fields of a log line, in its order"
)]
fn fetch(
    pen: &mut Pen<'_>,
    after: u64,
    tries: u16,
    line: &str,
    status: u16,
    user: &str,
    referer: &str,
    agent: &str,
) {
    let bytes = match status {
        204 | 304 => 0,
        300..400 => 162,
        400 => 150,
        401..500 => pen.chance.between(146, 555),
        _ => pen.chance.between(300, 90_000),
    };
    pen.request(
        after,
        tries,
        &Request {
            user,
            line,
            status,
            bytes,
            referer,
            agent,
        },
    );
}

fn page(pen: &mut Pen<'_>) -> String {
    let word = *pen.chance.pick(WORDS);
    match pen.chance.below(6) {
        0 => "/".to_owned(),
        1 => format!("/category/{word}"),
        2 => format!(
            "/blog/2026/{:02}/about-the-{word}",
            pen.chance.between(1, 3)
        ),
        3 => format!("/product/{}-{word}?ref=home", pen.chance.below(4000)),
        4 => format!("/search?q={word}+{}", pen.chance.pick(WORDS)),
        _ => format!("/product/{}-{word}", pen.chance.below(4000)),
    }
}

/// How fast an attacker goes: mostly fast, one in ten so slowly that six tries fill ten minutes.
fn pace(birth: &mut Birth<'_>) -> u64 {
    match birth.chance.below(10) {
        0..5 => birth.chance.between(60, 900),
        5..9 => birth.chance.between(SECOND, 10 * SECOND),
        _ => birth.chance.between(20 * SECOND, 110 * SECOND),
    }
}

/// Six tries at least, mostly some dozens.
fn tries(birth: &mut Birth<'_>) -> u64 {
    if birth.chance.percent(15) {
        6
    } else {
        birth.chance.between(7, 45)
    }
}

/// An agent that attackers show: a browser's for the half of them.
fn mask(birth: &mut Birth<'_>) -> &'static str {
    let agents = if birth.chance.percent(50) {
        BROWSERS
    } else {
        SCRIPTS
    };
    birth.chance.pick::<&'static str>(agents)
}

/// Walks through a list of paths, each of which is a try.
fn walker(birth: &mut Birth<'_>, paths: &'static [&'static str], statuses: &'static [u16]) -> Step {
    let (pace, mut left, agent) = (pace(birth), tries(birth), mask(birth));
    let mut next = birth.chance.below(paths.len() as u64) as usize;
    Box::new(move |pen| {
        left -= 1;
        next = (next + 1) % paths.len();
        let status = *pen.chance.pick(statuses);
        get(pen, 0, 1, paths[next], status, agent);
        (left > 0).then(|| pen.chance.about(pace))
    })
}

fn probing(birth: &mut Birth<'_>) -> Step {
    walker(birth, PROBED, &[404, 404, 404, 404, 403])
}

fn path_traversal(birth: &mut Birth<'_>) -> Step {
    walker(birth, TRAVERSALS, &[400, 400, 404, 404, 403, 200])
}

fn sqli(birth: &mut Birth<'_>) -> Step {
    walker(birth, INJECTIONS, &[200, 200, 404, 500, 403])
}

fn xss(birth: &mut Birth<'_>) -> Step {
    walker(birth, SCRIPTINGS, &[200, 200, 404, 403])
}

fn sensitive_files(birth: &mut Birth<'_>) -> Step {
    walker(birth, SENSITIVE, &[404, 404, 404, 403])
}

fn wp_login(birth: &mut Birth<'_>) -> Step {
    let (pace, mut left, agent) = (pace(birth), tries(birth), mask(birth));
    Box::new(move |pen| {
        left -= 1;
        if pen.chance.percent(30) {
            get(pen, 0, 0, "/wp-login.php", 200, agent);
        }
        let referer = format!("{SITE}/wp-login.php");
        fetch(
            pen,
            20,
            1,
            "POST /wp-login.php HTTP/1.1",
            200,
            "-",
            &referer,
            agent,
        );
        (left > 0).then(|| pen.chance.about(pace))
    })
}

fn xmlrpc(birth: &mut Birth<'_>) -> Step {
    let (pace, mut left, agent) = (pace(birth), tries(birth), mask(birth));
    let status = *birth.chance.pick(&[200, 200, 403, 405]);
    Box::new(move |pen| {
        left -= 1;
        fetch(
            pen,
            0,
            1,
            "POST /xmlrpc.php HTTP/1.1",
            status,
            "-",
            "-",
            agent,
        );
        (left > 0).then(|| pen.chance.about(pace))
    })
}

fn bad_user_agent(birth: &mut Birth<'_>) -> Step {
    let (pace, mut left, agent) = (pace(birth), tries(birth), *birth.chance.pick(BAD_AGENTS));
    Box::new(move |pen| {
        left -= 1;
        let path = page(pen);
        let status = *pen.chance.pick(&[200, 200, 200, 404, 301]);
        get(pen, 0, 1, &path, status, agent);
        (left > 0).then(|| pen.chance.about(pace))
    })
}

/// Copies the shop as fast as it can: pages alone, none of their pictures.
fn crawl(birth: &mut Birth<'_>) -> Step {
    let (pace, mut left, agent) = (
        birth.chance.between(40, 180),
        birth.chance.between(90, 700),
        *birth.chance.pick(BROWSERS),
    );
    Box::new(move |pen| {
        left -= 1;
        let path = format!(
            "/product/{}-{}",
            pen.chance.below(90_000),
            pen.chance.pick(WORDS)
        );
        let status = if pen.chance.percent(6) { 404 } else { 200 };
        get(pen, 0, 1, &path, status, agent);
        (left > 0).then(|| pen.chance.about(pace))
    })
}

fn garbage(birth: &mut Birth<'_>) -> Step {
    let (pace, mut left) = (pace(birth), birth.chance.between(6, 20));
    Box::new(move |pen| {
        left -= 1;
        let line = *pen.chance.pick(GARBAGE);
        let status = if line.starts_with("TRACE") { 405 } else { 400 };
        fetch(pen, 0, 1, line, status, "-", "-", "-");
        (left > 0).then(|| pen.chance.about(pace))
    })
}

fn basic_auth(birth: &mut Birth<'_>) -> Step {
    let (pace, mut left, agent) = (pace(birth), tries(birth), mask(birth));
    let path = *birth.chance.pick(&[
        "/private/",
        "/dav/files/",
        "/metrics",
        "/git/internal.git/info/refs?service=git-upload-pack",
    ]);
    let one = birth.chance.percent(60);
    Box::new(move |pen| {
        left -= 1;
        let user = if one {
            "admin"
        } else {
            *pen.chance
                .pick(&["admin", "root", "user", "test", "backup", "webmaster"])
        };
        fetch(
            pen,
            0,
            1,
            &format!("GET {path} HTTP/1.1"),
            401,
            user,
            "-",
            agent,
        );
        (left > 0).then(|| pen.chance.about(pace))
    })
}

/// Looks for unknown folders with a list of words.
fn burst_4xx(birth: &mut Birth<'_>) -> Step {
    let (pace, mut left, agent) = (
        birth.chance.between(30, 400),
        birth.chance.between(50, 400),
        mask(birth),
    );
    Box::new(move |pen| {
        left -= 1;
        let path = format!(
            "/{}{}",
            pen.chance.word(6),
            pen.chance.pick(&["", "/", ".php", ".bak", ".html", ".asp"])
        );
        let status = if pen.chance.percent(12) { 403 } else { 404 };
        get(pen, 0, 1, &path, status, agent);
        (left > 0).then(|| pen.chance.about(pace))
    })
}

fn stealth(birth: &mut Birth<'_>) -> Step {
    let (mean, mut left, agent) = (
        birth.chance.between(12, 40),
        birth.chance.between(8, 120),
        mask(birth),
    );
    Box::new(move |pen| {
        left -= 1;
        let paths = *pen.chance.pick(&[PROBED, SENSITIVE, PROBED, INJECTIONS]);
        let path = *pen.chance.pick(paths);
        get(pen, 0, 1, path, 404, agent);
        (left > 0).then(|| pen.chance.about(mean * MINUTE))
    })
}

/// A network of many machines, each of which tries one to three times.
fn distributed(birth: &mut Birth<'_>) -> Step {
    let (mut left, agent) = (birth.chance.between(1, 3), *birth.chance.pick(BROWSERS));
    let logs_in = (birth.now_ms / HOUR + birth.seed).is_multiple_of(2);
    Box::new(move |pen| {
        left -= 1;
        if logs_in {
            fetch(
                pen,
                0,
                1,
                "POST /wp-login.php HTTP/1.1",
                200,
                "-",
                "-",
                agent,
            );
        } else {
            let path = *pen.chance.pick(PROBED);
            get(pen, 0, 1, path, 404, agent);
        }
        (left > 0).then(|| pen.chance.between(3 * MINUTE, 30 * MINUTE))
    })
}

/// Writes log lines into the fields that it controls, to have somebody else banned.
fn forger(birth: &mut Birth<'_>) -> Step {
    let victim = birth.bystander.to_owned();
    let mut left = birth.chance.between(8, 30);
    let pace = birth.chance.between(100, 3000);
    Box::new(move |pen| {
        left -= 1;
        let forged = format!(
            r"{victim} - - [09/Mar/2026:10:00:00 +0000] \x22POST /wp-login.php HTTP/1.1\x22 200 12 \x22-\x22 \x22sqlmap/1.8\x22"
        );
        let path = *pen.chance.pick(SENSITIVE);
        match pen.chance.below(4) {
            0 => get(
                pen,
                0,
                1,
                &format!("{path}?ip={victim}&x-forwarded-for={victim}"),
                404,
                "Mozilla/5.0",
            ),
            1 => get(pen, 0, 1, path, 404, &forged),
            2 => fetch(
                pen,
                0,
                1,
                &format!("GET {path} HTTP/1.1"),
                404,
                "-",
                &forged,
                "Mozilla/5.0",
            ),
            _ => fetch(
                pen,
                0,
                1,
                &format!("GET {path} HTTP/1.1"),
                404,
                &victim,
                &format!("http://{victim}/"),
                &victim,
            ),
        }
        (left > 0).then(|| pen.chance.about(pace))
    })
}

/// A page with what belongs to it, as a browser fetches it. Returns how long that takes.
fn visit(pen: &mut Pen<'_>, after: u64, agent: &str, first: bool) -> u64 {
    let path = page(pen);
    let status = if pen.chance.percent(2) { 404 } else { 200 };
    let referer = if first {
        "https://www.google.com/".to_owned()
    } else {
        format!("{SITE}/")
    };
    fetch(
        pen,
        after,
        0,
        &format!("GET {path} HTTP/2.0"),
        status,
        "-",
        &referer,
        agent,
    );
    let referer = format!("{SITE}{path}");
    let mut at = after + pen.chance.between(60, 300);
    for number in 0..pen.chance.between(2, if first { 22 } else { 9 }) {
        let asset = match number % 5 {
            0 => format!("/static/css/site.{}.css", number),
            1 => format!("/static/js/app.{}.js", number),
            2 => format!("/static/fonts/inter-{number}.woff2"),
            _ => format!("/media/products/{}.webp", pen.chance.below(9000)),
        };
        let status = if first {
            200
        } else {
            *pen.chance.pick(&[200, 304])
        };
        fetch(
            pen,
            at,
            0,
            &format!("GET {asset} HTTP/2.0"),
            status,
            "-",
            &referer,
            agent,
        );
        at += pen.chance.below(120);
    }
    // Parts of a page that come as JSON, all at once.
    if pen.chance.percent(25) {
        for _ in 0..pen.chance.between(2, 20) {
            let line = format!("GET /api/v1/stock/{} HTTP/2.0", pen.chance.below(5000));
            fetch(pen, at, 0, &line, 200, "-", &referer, agent);
            at += pen.chance.below(60);
        }
    }
    at - after
}

/// Paths that browsers and telephones ask for by themselves, whether they exist or not.
const UNASKED: &[&str] = &[
    "/favicon.ico",
    "/apple-touch-icon.png",
    "/apple-touch-icon-precomposed.png",
    "/apple-touch-icon-120x120.png",
    "/.well-known/traffic-advice",
    "/.well-known/assetlinks.json",
    "/.well-known/apple-app-site-association",
    "/manifest.json",
    "/static/js/app.1.js.map",
    "/sw.js",
    "/ads.txt",
];

fn browser(birth: &mut Birth<'_>) -> Step {
    let agent = *birth.chance.pick(BROWSERS);
    let mut left = birth.chance.between(1, 12);
    let mut first = true;
    Box::new(move |pen| {
        left -= 1;
        let lasts = visit(pen, 0, agent, first);
        if first && pen.chance.percent(20) {
            for after in 0..pen.chance.between(1, 4) {
                let path = *pen.chance.pick(UNASKED);
                get(pen, lasts + after * 15, 0, path, 404, agent);
            }
        }
        // People search for words that look like attacks, and have apostrophes in their names.
        if pen.chance.one_in(60) {
            let query = *pen.chance.pick(&[
                "O%27Reilly",
                "union+select+committee",
                "how+to+%3Cscript%3E+tag",
                "drop+table+legs",
                "50%25+off",
                "c%2B%2B",
            ]);
            let line = format!("GET /search?q={query} HTTP/2.0");
            fetch(
                pen,
                lasts + 3000,
                0,
                &line,
                200,
                "-",
                &format!("{SITE}/"),
                agent,
            );
        }
        first = false;
        (left > 0).then(|| lasts + 2 * SECOND + pen.chance.pause(40 * SECOND))
    })
}

/// Many browsers behind one address.
fn office(birth: &mut Birth<'_>) -> Step {
    let people = birth.chance.between(5, 50);
    Box::new(move |pen| {
        let time = civil(pen.now_ms);
        if !((1..6).contains(&time.weekday) && (7..18).contains(&time.hour)) {
            return Some(pen.chance.about(10 * MINUTE));
        }
        let agent = *pen.chance.pick(BROWSERS);
        let first = pen.chance.percent(30);
        let lasts = visit(pen, 0, agent, first);
        if pen.chance.one_in(12) {
            let path = *pen.chance.pick(&[
                "/autodiscover/autodiscover.xml",
                "/Autodiscover/Autodiscover.xml",
                "/.well-known/caldav",
                "/favicon.ico",
            ]);
            fetch(
                pen,
                lasts,
                0,
                &format!("POST {path} HTTP/1.1"),
                404,
                "-",
                "-",
                "Microsoft Office/16.0 (Windows NT 10.0; Microsoft Outlook 16.0.17932; Pro)",
            );
        }
        if pen.chance.one_in(40) {
            for line in ["OPTIONS / HTTP/1.1", "PROPFIND / HTTP/1.1"] {
                fetch(
                    pen,
                    lasts + 90,
                    0,
                    line,
                    405,
                    "-",
                    "-",
                    "Microsoft-WebDAV-MiniRedir/10.0.19045",
                );
            }
        }
        Some(pen.chance.pause(20 * MINUTE / people))
    })
}

/// A visitor of pages whose pictures, icons and links are gone.
fn broken_links(birth: &mut Birth<'_>) -> Step {
    let agent = *birth.chance.pick(BROWSERS);
    let mut left = birth.chance.between(1, 5);
    Box::new(move |pen| {
        left -= 1;
        let mut at = visit(pen, 0, agent, true);
        let gallery = pen.chance.below(500);
        for number in 0..pen.chance.between(3, 40) {
            let line = format!("GET /media/gallery/{gallery}/img_{number:04}.jpg HTTP/2.0");
            fetch(
                pen,
                at,
                0,
                &line,
                404,
                "-",
                &format!("{SITE}/gallery/{gallery}"),
                agent,
            );
            at += pen.chance.below(30);
        }
        for _ in 0..pen.chance.below(4) {
            at += pen.chance.between(3 * SECOND, 12 * SECOND);
            let line = format!(
                "GET /blog/2019/0{}/old-{} HTTP/2.0",
                pen.chance.between(1, 9),
                pen.chance.pick(WORDS)
            );
            fetch(pen, at, 0, &line, 404, "-", &format!("{SITE}/blog/"), agent);
        }
        (left > 0).then(|| at + pen.chance.pause(60 * SECOND))
    })
}

/// A search engine's robot: robots.txt, then pages with a pause between, some of them long gone.
fn search_engine(birth: &mut Birth<'_>) -> Step {
    let agent = *birth.chance.pick(ENGINES);
    let delay = birth.chance.between(900, 15_000);
    let mut pages = 0_u64;
    Box::new(move |pen| {
        if pages.is_multiple_of(400) {
            get(pen, 0, 0, "/robots.txt", 200, agent);
        }
        pages += 1;
        let path = if pen.chance.percent(10) {
            format!("/media/products/{}.webp", pen.chance.below(9000))
        } else {
            page(pen)
        };
        let status = *pen
            .chance
            .pick(&[200, 200, 200, 200, 200, 200, 304, 304, 301, 404, 410]);
        get(pen, 100, 0, &path, status, agent);
        Some(pen.chance.about(delay))
    })
}

fn link_checker(birth: &mut Birth<'_>) -> Step {
    let agent = *birth.chance.pick(&[
        "W3C-checklink/5.0.0 libwww-perl/6.72",
        "LinkChecker/10.2 (+https://linkchecker.github.io/linkchecker/)",
    ]);
    let mut left = birth.chance.between(50, 400);
    Box::new(move |pen| {
        left -= 1;
        let path = page(pen);
        let status = *pen
            .chance
            .pick(&[200, 200, 200, 200, 200, 200, 200, 200, 301, 404]);
        fetch(
            pen,
            0,
            0,
            &format!("HEAD {path} HTTP/1.1"),
            status,
            "-",
            &format!("{SITE}/"),
            agent,
        );
        (left > 0).then(|| pen.chance.about(1100))
    })
}

/// A monitor; one in eight asks for a path that does not exist, for ever.
fn monitoring(birth: &mut Birth<'_>) -> Step {
    let every = *birth.chance.pick(&[10, 30, 60, 60, 300]) * SECOND;
    let (line, agent) = *birth.chance.pick(&[
        (
            "HEAD / HTTP/1.1",
            "Mozilla/5.0+(compatible; UptimeRobot/2.0; http://www.uptimerobot.com/)",
        ),
        ("GET /healthz HTTP/1.1", "GoogleHC/1.0"),
        ("GET /healthz HTTP/1.1", "ELB-HealthChecker/2.0"),
        (
            "GET / HTTP/1.1",
            "Pingdom.com_bot_version_1.4_(http://www.pingdom.com/)",
        ),
        ("GET / HTTP/1.1", "check_http/v2.3.3 (nagios-plugins 2.3.3)"),
        ("GET / HTTP/1.1", "Uptime-Kuma/1.23.16"),
    ]);
    let gone = birth.chance.one_in(8);
    let mut first = true;
    Box::new(move |pen| {
        if std::mem::take(&mut first) {
            return Some(pen.chance.below(every));
        }
        let down = civil(pen.now_ms).minute == 17 && civil(pen.now_ms).hour.is_multiple_of(5);
        let status = if down {
            503
        } else if gone {
            404
        } else {
            200
        };
        fetch(pen, 0, 0, line, status, "-", "-", agent);
        Some(every - 20 + pen.chance.below(40))
    })
}

/// A program that reads the JSON interface: some things are gone, and its token runs out.
fn api_client(birth: &mut Birth<'_>) -> Step {
    let agent = *birth.chance.pick(&[
        "python-requests/2.32.3",
        "axios/1.7.9",
        "Go-http-client/2.0",
        "GuzzleHttp/7",
        "okhttp/4.12.0",
        "curl/8.5.0",
    ]);
    let mean = birth.chance.between(2 * SECOND, 60 * SECOND);
    let mut calls = 0_u64;
    Box::new(move |pen| {
        calls += 1;
        if calls.is_multiple_of(150) {
            get(pen, 0, 0, "/api/v1/orders?page=1", 401, agent);
            fetch(
                pen,
                200,
                0,
                "POST /oauth/token HTTP/1.1",
                200,
                "-",
                "-",
                agent,
            );
            get(pen, 400, 0, "/api/v1/orders?page=1", 200, agent);
        } else if calls.is_multiple_of(60) {
            // Compares what it knows with what is there.
            for number in 0..pen.chance.between(4, 20) {
                let item = pen.chance.below(100_000);
                let status = if pen.chance.percent(30) { 404 } else { 200 };
                get(
                    pen,
                    number * 700,
                    0,
                    &format!("/api/v1/items/{item}"),
                    status,
                    agent,
                );
            }
            return Some(15 * SECOND + pen.chance.pause(mean));
        } else {
            let (method, path) = match pen.chance.below(3) {
                0 => (
                    "GET",
                    format!("/api/v1/items/{}", pen.chance.below(100_000)),
                ),
                1 => ("GET", format!("/api/v1/orders?since={}", pen.now_ms / 1000)),
                _ => ("PUT", format!("/api/v1/stock/{}", pen.chance.below(5000))),
            };
            let status = if method == "GET" && pen.chance.percent(4) {
                404
            } else if method == "PUT" {
                204
            } else {
                200
            };
            fetch(
                pen,
                0,
                0,
                &format!("{method} {path} HTTP/1.1"),
                status,
                "-",
                "-",
                agent,
            );
        }
        Some(pen.chance.pause(mean))
    })
}

fn mobile_app(birth: &mut Birth<'_>) -> Step {
    let agent = *birth.chance.pick(&[
        "ShopApp/3.2.1 (iOS 18.3; iPhone15,3)",
        "ShopApp/3.2 CFNetwork/1568.300.101 Darwin/24.2.0",
        "okhttp/4.12.0",
    ]);
    let mut left = birth.chance.between(1, 5);
    Box::new(move |pen| {
        left -= 1;
        let mut at = 0;
        if pen.chance.percent(30) {
            get(pen, 0, 0, "/api/v1/me", 401, agent);
            fetch(
                pen,
                150,
                0,
                "POST /oauth/token HTTP/2.0",
                200,
                "-",
                "-",
                agent,
            );
            at = 300;
        }
        for path in [
            "/api/v1/me",
            "/api/v1/cart",
            "/api/v1/messages?unread=1",
            "/api/v1/offers",
        ] {
            let status = if path.ends_with("offers") && pen.chance.percent(10) {
                404
            } else {
                200
            };
            get(pen, at, 0, path, status, agent);
            at += pen.chance.below(90);
        }
        (left > 0).then(|| at + pen.chance.pause(2 * MINUTE))
    })
}

fn feed_reader(birth: &mut Birth<'_>) -> Step {
    let every = *birth.chance.pick(&[15, 30, 60, 60, 120]) * MINUTE;
    let agent = *birth.chance.pick(&[
        "Feedly/1.0 (+http://www.feedly.com/fetcher.html; 42 subscribers)",
        "Tiny Tiny RSS/23.04 (https://tt-rss.org/)",
        "FreshRSS/1.25.0 (Linux; https://freshrss.org)",
        "NetNewsWire (RSS Reader; https://netnewswire.com/)",
    ]);
    let path = *birth.chance.pick(&[
        "/feed.xml",
        "/feed.xml",
        "/blog/rss",
        "/feed/../feed.xml",
        "/old/atom.xml",
    ]);
    let mut first = true;
    Box::new(move |pen| {
        if std::mem::take(&mut first) {
            return Some(pen.chance.below(every));
        }
        let status = if path.starts_with("/old") {
            410
        } else {
            *pen.chance.pick(&[304, 304, 304, 200])
        };
        get(pen, 0, 0, path, status, agent);
        Some(every - 2000 + pen.chance.below(4000))
    })
}

/// Writes for the blog: mistypes the password at times; her telephone's app and her site's helpers use XML-RPC.
fn blog_author(birth: &mut Birth<'_>) -> Step {
    let (agent, mut left) = (*birth.chance.pick(BROWSERS), birth.chance.between(1, 6));
    Box::new(move |pen| {
        left -= 1;
        let mut at = 0;
        get(pen, at, 0, "/wp-login.php", 200, agent);
        for _ in 0..*pen.chance.pick(&[0, 0, 0, 0, 1, 1, 2, 3]) {
            at += pen.chance.between(5 * SECOND, 20 * SECOND);
            fetch(
                pen,
                at,
                0,
                "POST /wp-login.php HTTP/2.0",
                200,
                "-",
                &format!("{SITE}/wp-login.php"),
                agent,
            );
        }
        at += pen.chance.between(5 * SECOND, 20 * SECOND);
        fetch(
            pen,
            at,
            0,
            "POST /wp-login.php HTTP/2.0",
            302,
            "-",
            &format!("{SITE}/wp-login.php"),
            agent,
        );
        for _ in 0..pen.chance.between(3, 30) {
            at += pen.chance.between(SECOND, 40 * SECOND);
            let line = *pen.chance.pick(&[
                "GET /wp-admin/ HTTP/2.0",
                "POST /wp-admin/admin-ajax.php HTTP/2.0",
                "POST /wp-json/wp/v2/posts/91/autosaves HTTP/2.0",
            ]);
            fetch(
                pen,
                at,
                0,
                line,
                200,
                "-",
                &format!("{SITE}/wp-admin/"),
                agent,
            );
        }
        if pen.chance.percent(30) {
            for number in 0..pen.chance.between(1, 4) {
                fetch(
                    pen,
                    at + number * 700,
                    0,
                    "POST /xmlrpc.php HTTP/1.1",
                    200,
                    "-",
                    "-",
                    "wp-android/25.4 (Android 15; en_GB)",
                );
            }
        }
        (left > 0).then(|| at + HOUR + pen.chance.pause(HOUR))
    })
}

/// Uses what asks for a password: each session begins with a 401 without a name. One in five has an old password
/// in the telephone, which tries it four times an hour, for ever.
fn private_area(birth: &mut Birth<'_>) -> Step {
    let outdated = birth.chance.one_in(5);
    let (line, agent) = *birth.chance.pick(&[
        (
            "GET /private/report.html HTTP/1.1",
            "Mozilla/5.0 (X11; Linux x86_64; rv:136.0) Gecko/20100101 Firefox/136.0",
        ),
        (
            "PROPFIND /dav/calendars/home/ HTTP/1.1",
            "DAVx5/4.4.6-ose (dav4jvm; okhttp/4.12.0) Android/14",
        ),
        (
            "GET /git/app.git/info/refs?service=git-upload-pack HTTP/1.1",
            "git/2.47.1",
        ),
        (
            "PROPFIND /dav/files/ HTTP/1.1",
            "Microsoft-WebDAV-MiniRedir/10.0.22631",
        ),
    ]);
    Box::new(move |pen| {
        if outdated {
            fetch(pen, 0, 0, line, 401, "-", "-", agent);
            fetch(pen, 120, 0, line, 401, "carol", "-", agent);
            return Some(15 * MINUTE - 500 + pen.chance.below(1000));
        }
        let mut at = 0;
        if pen.chance.percent(10) {
            for _ in 0..pen.chance.between(1, 2) {
                fetch(pen, at, 0, line, 401, "carol", "-", agent);
                at += 6 * SECOND;
            }
        }
        for _ in 0..pen.chance.between(1, 12) {
            fetch(pen, at, 0, line, 401, "-", "-", agent);
            fetch(pen, at + 60, 0, line, 200, "carol", "-", agent);
            at += pen.chance.between(150, 900);
        }
        Some(at + 4 * MINUTE + pen.chance.pause(20 * MINUTE))
    })
}

fn webhook(birth: &mut Birth<'_>) -> Step {
    let agent = *birth.chance.pick(&[
        "Stripe/1.0 (+https://stripe.com/docs/webhooks)",
        "GitHub-Hookshot/044aadd",
        "Slackbot 1.0 (+https://api.slack.com/robots)",
    ]);
    let mean = birth.chance.between(10 * SECOND, 5 * MINUTE);
    Box::new(move |pen| {
        fetch(
            pen,
            0,
            0,
            "POST /hooks/incoming HTTP/1.1",
            200,
            "-",
            "-",
            agent,
        );
        Some(pen.chance.pause(mean))
    })
}
