//! Patterns for whole lines of particular programs, or for pieces that only they write.
//!
//! The names and the names of their fields are CrowdSec's, since rules use both.

pub(super) const PROGRAMS: &[(&str, &str)] = &[
    // Syslog daemons.
    (
        "SYSLOGBASE2",
        r"(?:%{SYSLOGTIMESTAMP:timestamp}|%{TIMESTAMP_ISO8601:timestamp8601}) (?:%{SYSLOGFACILITY} )?%{SYSLOGHOST:logsource}(?: %{SYSLOGPROG}:)?",
    ),
    ("SYSLOGLINE", r"%{SYSLOGBASE2} %{GREEDYDATA:message}"),
    ("SYSLOG5424PRINTASCII", r"[!-~]+"),
    ("SYSLOG5424PRI", r"<%{NONNEGINT:syslog5424_pri}>"),
    ("SYSLOG5424SD", r"\[%{DATA}\]+"),
    (
        "SYSLOG5424BASE",
        concat!(
            r"%{SYSLOG5424PRI}%{NONNEGINT:syslog5424_ver} +(?:%{TIMESTAMP_ISO8601:syslog5424_ts}|-)",
            r" +(?:%{HOSTNAME:syslog5424_host}|-) +(?:-|%{SYSLOG5424PRINTASCII:syslog5424_app})",
            r" +(?:-|%{SYSLOG5424PRINTASCII:syslog5424_proc}) +(?:-|%{SYSLOG5424PRINTASCII:syslog5424_msgid})",
            r" +(?:%{SYSLOG5424SD:syslog5424_sd}|-|)",
        ),
    ),
    (
        "SYSLOG5424LINE",
        r"%{SYSLOG5424BASE} +%{GREEDYDATA:syslog5424_msg}",
    ),
    // Apache.
    (
        "COMMONAPACHELOG",
        r#"%{IPORHOST:clientip} %{HTTPDUSER:ident} %{USER:auth} \[%{HTTPDATE:timestamp}\] "(?:%{WORD:verb} %{NOTSPACE:request}(?: HTTP/%{NUMBER:httpversion})?|%{DATA:rawrequest})" %{NUMBER:response} (?:%{NUMBER:bytes}|-)"#,
    ),
    (
        "COMBINEDAPACHELOG",
        r"%{COMMONAPACHELOG} %{QS:referrer} %{QS:agent}",
    ),
    (
        "HTTPD20_ERRORLOG",
        r"\[%{HTTPDERROR_DATE:timestamp}\] \[%{LOGLEVEL:loglevel}\] (?:\[client %{IPORHOST:clientip}\] )?%{GREEDYDATA:errormsg}",
    ),
    (
        "HTTPD24_ERRORLOG",
        concat!(
            r"\[%{HTTPDERROR_DATE:timestamp}\] \[%{WORD:module}:%{LOGLEVEL:loglevel}\]",
            r" \[pid %{POSINT:pid}(?::tid %{NUMBER:tid})?\]",
            r"(?: \(%{POSINT:proxy_errorcode}\)%{DATA:proxy_errormessage}:)?",
            r"(?: \[client %{IPORHOST:client}:%{INT:clientport}\])? %{DATA:errorcode}: %{GREEDYDATA:message}",
        ),
    ),
    ("HTTPD_ERRORLOG", r"%{HTTPD20_ERRORLOG}|%{HTTPD24_ERRORLOG}"),
    ("APACHEERRORTIME", r"%{HTTPDERROR_DATE}"),
    // nginx. A user's name has no digits in it.
    ("NGUSERNAME", r"[a-zA-Z.@+_%-]+"),
    ("NGUSER", r"%{NGUSERNAME}"),
    ("DAY2", r"[0-9]{2}"),
    (
        "NGINXERRTIME",
        r"%{YEAR}/%{MONTHNUM2}/%{DAY2} %{HOUR}:%{MINUTE}:%{SECOND}",
    ),
    (
        "NGINXACCESS",
        r#"%{IPORHOST:remote_addr} - %{NGUSER:remote_user} \[%{HTTPDATE:time_local}\] "%{WORD:method} %{URIPATHPARAM:request} HTTP/%{NUMBER:http_version}" %{NUMBER:status} %{NUMBER:body_bytes_sent} "%{NOTDQUOTE:http_referer}" "%{NOTDQUOTE:http_user_agent}""#,
    ),
    (
        "NGINXERROR",
        r"%{NGINXERRTIME:time} \[%{LOGLEVEL:loglevel}\] %{NONNEGINT:pid}#%{NONNEGINT:tid}: (?:\*%{NONNEGINT:cid} )?%{GREEDYDATA:message}",
    ),
    (
        "NAXSI_EXLOG",
        r"^NAXSI_EXLOG: ip=%{IPORHOST:naxsi_src_ip}&server=%{IPORHOST:naxsi_dst_ip}&uri=%{PATH:http_path}&id=%{INT:naxsi_id}&zone=%{WORD:naxsi_zone}&var_name=%{DATA:naxsi_var_name}&content=",
    ),
    // HAProxy. The second takes the fraction's first digits and the milliseconds its last: rules read both so.
    (
        "HAPROXYTIME",
        r"%{HOUR:haproxy_hour}:%{MINUTE:haproxy_minute}:%{SECOND:haproxy_second}",
    ),
    (
        "HAPROXYDATE",
        r"%{MONTHDAY:haproxy_monthday}/%{MONTH:haproxy_month}/%{YEAR:haproxy_year}:%{HAPROXYTIME:haproxy_time}.%{INT:haproxy_milliseconds}",
    ),
    (
        "HAPROXYCAPTUREDREQUESTHEADERS",
        r"%{DATA:captured_request_headers}",
    ),
    (
        "HAPROXYCAPTUREDRESPONSEHEADERS",
        r"%{DATA:captured_response_headers}",
    ),
    // OpenSSH.
    (
        "SSHD_FAIL",
        r"Failed %{WORD:sshd_auth_type} for %{USERNAME:sshd_invalid_user} from %{IP:sshd_client_ip} port %{NUMBER:sshd_port} %{WORD:sshd_protocol}",
    ),
    (
        "SSHD_USER_FAIL",
        r"Failed password for invalid user %{USERNAME:sshd_invalid_user} from %{IP:sshd_client_ip} port %{NUMBER:sshd_port} %{WORD:sshd_protocol}",
    ),
    (
        "SSHD_INVAL_USER",
        r"Invalid user\s*(?:%{USERNAME:sshd_invalid_user})? from %{IP:sshd_client_ip}",
    ),
    (
        "SSHD_DISC_PREAUTH",
        r"Disconnected from %{IP:sshd_client_ip} port %{NUMBER:sshd_port}\s*(?:\[%{GREEDYDATA:sshd_privsep}\])?",
    ),
    (
        "SSHD_BAD_VERSION",
        r"Bad protocol version identification '%{GREEDYDATA}' from %{IP:sshd_client_ip}",
    ),
    // Mail, databases, file servers, honeypots, packet dumps.
    (
        "EXIM_DATE",
        r"%{YEAR:exim_year}-%{MONTHNUM:exim_month}-%{MONTHDAY:exim_day} %{TIME:exim_time}",
    ),
    ("REDISTIMESTAMP", r"%{MONTHDAY} %{MONTH} %{TIME}"),
    (
        "MYSQL_AUTH_FAIL",
        r"%{TIMESTAMP_ISO8601:time} %{NUMBER} \[Note\] Access denied for user '%{DATA:user}'@'%{IP:source_ip}' \(using password: %{WORD:using_password}\)",
    ),
    (
        "SMB_AUTH_FAIL",
        r"Auth:.* user \[%{DATA:smb_domain}\]\\\[%{DATA:user}\].* status \[NT_STATUS_NO_SUCH_USER\].* remote host \[ipv4:%{IP:ip_source}",
    ),
    (
        "COWRIE_NEW_CO",
        r"New connection: %{IPV4:source_ip}:[0-9]+ \(%{IPV4:dest_ip}:%{INT:dest_port}\) \[session: %{DATA:telnet_session}\]$",
    ),
    (
        "TCPDUMP_OUTPUT",
        r"%{GREEDYDATA:timestamp} IP %{IPORHOST:source_ip}\.%{INT:source_port} > %{IPORHOST:dest_ip}\.%{INT:dest_port}: Flags \[%{GREEDYDATA:tcpflags}\], seq",
    ),
];
