//! Does `PostgreSQL` do its work under the profile of databases?

use std::{fs, time::Duration};

use anyhow::{Result, ensure};
use tests::{bundle::Container, until::until};

use crate::{Ground, questions};

questions![postgresql_answers_vacuums_archives_recovers_from_a_crash_and_stops];

const LIMIT: Duration = Duration::from_mins(1);
const POSTGRES: u32 = 70;
const START: &str = r"set -e
initdb --username postgres --no-sync --pgdata /srv/data >/dev/null
cat >>/srv/data/postgresql.conf <<END
listen_addresses = '*'
unix_socket_directories = '/tmp'
shared_memory_type = sysv
archive_mode = on
archive_command = 'cp %p /srv/archived'
logging_collector = on
log_directory = '/srv/logs'
force_parallel_mode = on
min_parallel_table_scan_size = 0
restart_after_crash = on
END
mkdir /srv/space
exec postgres -D /srv/data";

async fn postgresql_answers_vacuums_archives_recovers_from_a_crash_and_stops(
    ground: &Ground<'_>,
) -> Result<()> {
    let bundle = ground.under("app-database")?.user(POSTGRES);
    let mut database = bundle.start(&["sh", "-c", START])?;
    answers(&mut database).await?;

    for statement in [
        "create table t as select i, repeat(md5(i::text), 3) as x from generate_series(1, 50000) i",
        "create index on t (i)",
        "vacuum full analyze t",
        "copy t to '/srv/copy.csv'",
        "copy t from program 'head -n 10 /srv/copy.csv'",
        "create tablespace s location '/srv/space'",
        "alter table t set tablespace s",
        "create database another",
        "select pg_switch_wal(), pg_rotate_logfile()",
        "checkpoint",
    ] {
        ask(&database, statement)?;
    }
    ensure!(ask(&database, "select count(*), max(x) <> '' from t")? == "50010|t");
    ensure!(ask(&database, "select count(*) from t a join t b using (x)")? == "50030");

    // The server ends and restarts its other processes when one of them dies; the statement is among them.
    let checkpointer = "select pid from pg_stat_activity where backend_type = 'checkpointer'";
    let pid = ask(&database, checkpointer)?;
    let crash =
        ask(&database, &format!("copy t from program 'kill -9 {pid}'; select pg_sleep(60)"));
    ensure!(crash.is_err(), "there was no crash");
    answers(&mut database).await?;
    ensure!(ask(&database, "select count(*) from t")? == "50010");
    ensure!(ask(&database, checkpointer)? != pid, "{pid} is alive");
    until("the log is archived", LIMIT, async || {
        Ok(database.work().join("archived").is_file().then_some(()))
    })
    .await?;

    database.signal("INT")?;
    let status = database.ended(LIMIT).await?;
    let log = log(&database)?;
    ensure!(status.success(), "ended with {status}:\n{log}");
    ensure!(!log.contains("not permitted"), "{log}");
    Ok(())
}

async fn answers(database: &mut Container) -> Result<()> {
    until("PostgreSQL answers", LIMIT, async || {
        database.check_alive()?;
        Ok(ask(database, "select 1").ok())
    })
    .await?;
    Ok(())
}

fn ask(database: &Container, statement: &str) -> Result<String> {
    let psql =
        ["psql", "--no-psqlrc", "--quiet", "--tuples-only", "--no-align", "--set=ON_ERROR_STOP=1"];
    let to = ["--host=127.0.0.1", "--username=postgres", "--command", statement];
    let output = database.client(&[&psql[..], &to].concat())?;
    let error = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "{statement}: {error}");
    Ok(String::from_utf8(output.stdout)?.trim().to_owned())
}

fn log(database: &Container) -> Result<String> {
    let mut all = database.log()?;
    for entry in fs::read_dir(database.work().join("logs"))? {
        all.push_str(&fs::read_to_string(entry?.path())?);
    }
    Ok(all)
}
