//! Does nginx do its work under the profile of web servers?

use std::{fs, time::Duration};

use anyhow::{Result, ensure};
use tests::{bundle::Container, until::until};

use crate::{Ground, questions};

questions![nginx_serves_proxies_reloads_rotates_its_log_and_stops];

const LIMIT: Duration = Duration::from_secs(30);
const CONFIGURATION: &str = include_str!("nginx.conf");
const CERTIFICATE: &str = "openssl req -x509 -newkey rsa:2048 -nodes -keyout /srv/key.pem -out /srv/cert.pem \
     -days 2 -subj /CN=localhost 2>/dev/null && mkdir /srv/logs /srv/kept && chmod 777 /srv/kept && exec \"$@\"";
/// Large enough for many writes, and for threads.
const LARGE: usize = 3_000_000;

async fn nginx_serves_proxies_reloads_rotates_its_log_and_stops(ground: &Ground<'_>) -> Result<()> {
    let bundle = ground
        .under("app-web-server")?
        .text("nginx.conf", CONFIGURATION)?
        .text("small.html", "a page")?
        .text("large", &"x".repeat(LARGE))?;
    let nginx = ["nginx", "-c", "/srv/nginx.conf", "-p", "/srv", "-e", "/srv/error.log"];
    let mut web = bundle.start(&[&["sh", "-c", CERTIFICATE, "sh"], &nginx[..]].concat())?;

    until("nginx answers", LIMIT, async || {
        web.check_alive()?;
        Ok((get(&web, "http://127.0.0.1:8080/small.html")? == b"a page").then_some(()))
    })
    .await?;
    for url in [
        "http://127.0.0.1:8080/large",
        "http://[::1]:8080/large",
        "http://127.0.0.1:8080/threads/large",
        "http://127.0.0.1:8080/proxied/large",
        "https://127.0.0.1:8443/large",
    ] {
        ensure!(get(&web, url)?.len() == LARGE, "not all of {url}:\n{}", errors(&web));
    }
    let body = ["--post-data", &"y".repeat(50_000), "http://127.0.0.1:8080/kept/"];
    web.client(&[&["busybox", "wget", "-q", "-O", "-"], &body[..]].concat())?;
    ensure!(fs::read_dir(web.work().join("kept"))?.count() == 1, "no body:\n{}", errors(&web));

    fs::rename(web.work().join("logs/access.log"), web.work().join("logs/old.log"))?;
    web.signal("USR1")?;
    until("nginx logs into a new file", LIMIT, async || {
        get(&web, "http://127.0.0.1:8080/which")?;
        let log = fs::read_to_string(web.work().join("logs/access.log"));
        Ok(log.ok().filter(|log| log.contains("/which")))
    })
    .await?;
    fs::write(web.work().join("nginx.conf"), CONFIGURATION.replace("first", "second"))?;
    web.signal("HUP")?;
    until("nginx has its other configuration", LIMIT, async || {
        Ok((get(&web, "http://127.0.0.1:8080/which")? == b"second").then_some(()))
    })
    .await?;

    web.signal("QUIT")?;
    let status = web.ended(LIMIT).await?;
    ensure!(status.success() && errors(&web).is_empty(), "ended with {status}:\n{}", errors(&web));
    Ok(())
}

fn get(web: &Container, url: &str) -> Result<Vec<u8>> {
    let wget = ["busybox", "wget", "-q", "-O", "-"];
    // The certificate is nobody's.
    let script = "import ssl, sys, urllib.request as r\n\
         c = ssl._create_unverified_context()\n\
         sys.stdout.buffer.write(r.urlopen(sys.argv[1], context=c).read())";
    let client =
        if url.starts_with("https") { vec!["python3", "-c", script] } else { wget.to_vec() };
    Ok(web.client(&[&client[..], &[url]].concat())?.stdout)
}

/// What nginx complained of.
fn errors(web: &Container) -> String {
    let log = fs::read_to_string(web.work().join("error.log")).unwrap_or_default()
        + &web.log().unwrap_or_default();
    let serious = |line: &&str| {
        ["[emerg]", "[alert]", "[crit]", "not permitted"].iter().any(|word| line.contains(word))
    };
    log.lines().filter(serious).collect::<Vec<_>>().join("\n")
}
