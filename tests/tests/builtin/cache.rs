//! Does redis do its work under the profile of caches?

use std::{fs, time::Duration};

use anyhow::{Result, ensure};
use tests::{bundle::Container, until::until};

use crate::{Ground, questions};

questions![redis_answers_runs_scripts_replicates_writes_snapshots_and_stops];

const LIMIT: Duration = Duration::from_secs(30);
const START: &str = "mkdir -p /srv/copy && cd /srv/copy &&
    redis-server --port 6380 --replicaof 127.0.0.1 6379 --daemonize yes --logfile /srv/copy/log &&
    cd /srv && exec redis-server --port 6379 --unixsocket /tmp/redis.sock --appendonly yes --io-threads 2 \
        --repl-diskless-sync-delay 0 --io-threads-do-reads yes --server_cpulist 0 --enable-debug-command yes";

async fn redis_answers_runs_scripts_replicates_writes_snapshots_and_stops(
    ground: &Ground<'_>,
) -> Result<()> {
    let mut redis = ground.under("app-cache")?.user(65534).start(&["sh", "-c", START])?;
    until("redis answers", LIMIT, async || {
        redis.check_alive()?;
        Ok((ask(&redis, 6379, &["ping"])? == "PONG").then_some(()))
    })
    .await?;

    ensure!(ask(&redis, 6379, &["set", "a", "1"])? == "OK");
    ensure!(ask(&redis, 6379, &["eval", "return redis.call('incr', 'a')", "0"])? == "2");
    ensure!(ask(&redis, 6379, &["debug", "populate", "50000"])? == "OK");
    until("the copy has it", LIMIT, async || {
        Ok((ask(&redis, 6380, &["get", "a"])? == "2").then_some(()))
    })
    .await?;

    // A rewrite that is under way already serves as well.
    ask(&redis, 6379, &["bgrewriteaof"])?;
    done(&redis, "aof_last_bgrewrite_status:ok", "aof_rewrite_in_progress:0").await?;
    ask(&redis, 6379, &["bgsave"])?;
    done(&redis, "rdb_last_bgsave_status:ok", "rdb_bgsave_in_progress:0").await?;
    ensure!(ask(&redis, 6379, &["memory", "purge"])? == "OK");
    ensure!(ask(&redis, 6379, &["flushall", "async"])? == "OK");

    redis.signal("TERM")?;
    let status = redis.ended(LIMIT).await?;
    let log = redis.log()? + &fs::read_to_string(redis.work().join("copy/log"))?;
    ensure!(status.success() && log.contains("bye bye"), "ended with {status}:\n{log}");
    ensure!(!log.contains("not permitted"), "{log}");
    ensure!(redis.work().join("dump.rdb").is_file(), "no snapshot:\n{log}");
    Ok(())
}

fn ask(redis: &Container, port: u16, command: &[&str]) -> Result<String> {
    let output = redis.client(&[&["redis-cli", "-p", &port.to_string()], command].concat())?;
    Ok(String::from_utf8(output.stdout)?.trim().to_owned())
}

/// Waits until a child has ended; how it ended is to be well.
async fn done(redis: &Container, well: &str, ended: &str) -> Result<()> {
    let report = until("the child of redis has ended", LIMIT, async || {
        Ok(Some(ask(redis, 6379, &["info", "persistence"])?)
            .filter(|report| report.contains(ended)))
    })
    .await?;
    ensure!(report.contains(well), "not {well}:\n{report}\n{}", redis.log()?);
    Ok(())
}
