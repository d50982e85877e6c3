//! What the programs are put to.

use rustix::process::Signal;

use crate::ground::{Ground, Running};

type Prepare = fn(&Ground) -> Result<(), String>;
type Clients = fn(&Ground, &Running) -> Result<(), String>;

/// A program at work.
pub(crate) struct Work {
    pub(crate) name: &'static str,
    pub(crate) command: &'static [&'static str],
    /// It, and what it starts.
    pub(crate) programs: &'static [&'static str],
    pub(crate) user: u32,
    pub(crate) prepare: Prepare,
    pub(crate) clients: Clients,
}

pub(crate) const NGINX: Work = Work {
    name: "nginx",
    command: &["nginx", "-c", "/srv/nginx.conf", "-p", "/srv", "-e", "/srv/error.log"],
    programs: &["/usr/sbin/nginx"],
    user: 0,
    prepare: certificate,
    clients: browse,
};

pub(crate) const REDIS: Work = Work {
    name: "redis",
    command: &[
        "redis-server",
        "--port",
        "6379",
        "--unixsocket",
        "/tmp/redis.sock",
        "--appendonly",
        "yes",
        "--io-threads",
        "2",
        "--io-threads-do-reads",
        "yes",
        "--server_cpulist",
        "0",
        "--enable-debug-command",
        "yes",
    ],
    programs: &["/usr/bin/redis-server"],
    user: 65534,
    prepare: |_| Ok(()),
    clients: cache,
};

pub(crate) const ALL: &[Work] = &[
    NGINX,
    REDIS,
    Work {
        name: "postgresql",
        command: &["postgres", "-D", "/srv/data"],
        programs: &["/usr/lib/postgresql/15/bin/postgres", "/bin/sh", "/bin/cp", "/usr/bin/head"],
        user: 70,
        prepare: cluster,
        clients: query,
    },
    Work {
        name: "python3",
        command: &["python3", "/srv/work.py"],
        programs: &[
            "/usr/bin/python3",
            "/bin/sh",
            "/bin/echo",
            "/bin/cat",
            "/bin/true",
            "/bin/sleep",
            "/usr/bin/openssl",
        ],
        user: 0,
        prepare: |ground| {
            ground.write("work.py", include_str!("../../../tests/tests/builtin/work.py"))
        },
        clients: |_, _| Ok(()),
    },
];

const CONFIGURATION: &str = include_str!("../../../tests/tests/builtin/nginx.conf");
const TLS: &str = "import ssl, sys, urllib.request as r\n\
     c = ssl._create_unverified_context()\n\
     assert len(r.urlopen(sys.argv[1], context=c).read()) == 3000000";

fn certificate(ground: &Ground) -> Result<(), String> {
    ground.write("nginx.conf", CONFIGURATION)?;
    ground.write("small.html", "a page")?;
    ground.write("large", &"x".repeat(3_000_000))?;
    ground.run(&["mkdir", "-m", "777", "/srv/logs", "/srv/kept"])?;
    ground.run(&["chmod", "755", "/srv"])?;
    let openssl = "openssl req -x509 -newkey rsa:2048 -nodes -keyout /srv/key.pem -out /srv/cert.pem -days 2 -subj /CN=x";
    ground.run(&openssl.split(' ').collect::<Vec<_>>()).map(drop)
}

fn browse(ground: &Ground, nginx: &Running) -> Result<(), String> {
    let get = |url: &str| ground.run(&["busybox", "wget", "-q", "-O", "-", url]);
    nginx.until(|| get("http://127.0.0.1:8080/small.html"))?;
    for url in ["127.0.0.1:8080/large", "[::1]:8080/large", "127.0.0.1:8080/threads/large"] {
        get(&format!("http://{url}"))?;
    }
    get("http://127.0.0.1:8080/proxied/large")?;
    ground.run(&["python3", "-c", TLS, "https://127.0.0.1:8443/large"])?;
    let body = "y".repeat(50_000);
    let post = ["busybox", "wget", "-q", "-O", "-", "--post-data", &body];
    // There is no page, and yet the body is kept.
    drop(ground.run(&[&post[..], &["http://127.0.0.1:8080/kept/"]].concat()));
    let kept = std::fs::read_dir(ground.work().join("kept")).map_err(|error| error.to_string())?;
    if kept.count() != 1 {
        return Err("the body was not kept".to_owned());
    }
    nginx.signal(Signal::USR1)?;
    ground.write("nginx.conf", &CONFIGURATION.replace("first", "second"))?;
    nginx.signal(Signal::HUP)?;
    nginx.until(|| match get("http://127.0.0.1:8080/which")?.as_str() {
        "second" => Ok(()),
        other => Err(format!("still {other}")),
    })?;
    nginx.signal(Signal::QUIT)
}

fn cache(ground: &Ground, redis: &Running) -> Result<(), String> {
    let ask = |words: &[&str]| ground.run(&[&["redis-cli"], words].concat());
    redis.until(|| match ask(&["ping"])?.as_str() {
        "PONG" => Ok(()),
        other => Err(other.to_owned()),
    })?;
    for words in [
        &["set", "a", "1"][..],
        &["eval", "return redis.call('incr', 'a')", "0"],
        &["debug", "populate", "50000"],
        &["bgrewriteaof"],
        &["memory", "purge"],
        &["flushall", "async"],
    ] {
        ask(words)?;
    }
    let idle = || {
        let report = ask(&["info", "persistence"])?;
        let working = ["rewrite_in_progress:1", "rewrite_scheduled:1", "bgsave_in_progress:1"];
        if working.iter().any(|word| report.contains(word)) { Err(report) } else { Ok(()) }
    };
    redis.until(idle)?;
    ask(&["bgsave"])?;
    redis.until(idle)?;
    redis.signal(Signal::TERM)
}

const POSTGRES: &str = "listen_addresses = '*'\nunix_socket_directories = '/tmp'\nshared_memory_type = sysv\n\
     archive_mode = on\narchive_command = 'cp %p /srv/archived'\nlogging_collector = on\nlog_directory = '/srv/logs'\n\
     force_parallel_mode = on\nmin_parallel_table_scan_size = 0\n";

fn cluster(ground: &Ground) -> Result<(), String> {
    let initdb = ["initdb", "--username", "postgres", "--no-sync", "--pgdata", "/srv/data"];
    ground.run(&initdb)?;
    ground.run(&["mkdir", "/srv/space"])?;
    let path = ground.work().join("data/postgresql.conf");
    let conf = std::fs::read_to_string(path).map_err(|error| error.to_string())?;
    ground.write("data/postgresql.conf", &(conf + POSTGRES))
}

fn query(ground: &Ground, postgres: &Running) -> Result<(), String> {
    let ask = |statement| {
        let psql = ["psql", "--no-psqlrc", "-qAt", "--set=ON_ERROR_STOP=1", "--host=127.0.0.1"];
        ground.run(&[&psql[..], &["--username=postgres", "--command", statement]].concat())
    };
    postgres.until(|| ask("select 1"))?;
    for statement in [
        "create table t as select i, repeat(md5(i::text), 3) as x from generate_series(1, 50000) i",
        "create index on t (i)",
        "vacuum full analyze t",
        "copy t to '/srv/copy.csv'",
        "copy t from program 'head -n 10 /srv/copy.csv'",
        "create tablespace s location '/srv/space'",
        "alter table t set tablespace s",
        "create database another",
        "do $$ begin perform pg_sleep(0.01); end $$",
        "select pg_switch_wal(), pg_rotate_logfile()",
        "checkpoint",
        "select count(*) from t a join t b using (x)",
    ] {
        ask(statement)?;
    }
    postgres.signal(Signal::INT)
}
