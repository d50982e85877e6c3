//! Do programs in Python, for Node.js and on a JVM do their work under the profiles of their runtimes?

use std::time::Duration;

use anyhow::{Result, ensure};

use crate::{Ground, questions};

questions![
    python_works_with_threads_processes_sockets_and_files,
    node_works_with_workers_processes_sockets_and_files,
    java_works_with_each_collector,
];

const LIMIT: Duration = Duration::from_mins(1);
const JAVA: &str = "/usr/lib/jvm/java-17-openjdk-amd64/bin/java";
const COLLECTORS: &[&str] = &["Serial", "Parallel", "G1", "Z"];

async fn python_works_with_threads_processes_sockets_and_files(ground: &Ground<'_>) -> Result<()> {
    let script = ("work.py", include_str!("work.py"));
    works(ground, "app-python", script, &["python3", "/srv/work.py"]).await
}

async fn node_works_with_workers_processes_sockets_and_files(ground: &Ground<'_>) -> Result<()> {
    works(ground, "app-node", ("work.js", include_str!("work.js")), &["node", "/srv/work.js"]).await
}

/// There is no compiler in the runtime environment: an interpreter reads the program.
async fn java_works_with_each_collector(ground: &Ground<'_>) -> Result<()> {
    for collector in COLLECTORS {
        let option = format!("-XX:+Use{collector}GC");
        let interpreter = ["-cp", "/usr/share/java/bsh.jar", "bsh.Interpreter", "/srv/work.bsh"];
        let command = [&[JAVA, "-Xmx128m", &option], &interpreter[..]].concat();
        works(ground, "app-java", ("work.bsh", include_str!("work.bsh")), &command).await?;
    }
    Ok(())
}

async fn works(
    ground: &Ground<'_>,
    profile: &str,
    (name, script): (&str, &str),
    command: &[&str],
) -> Result<()> {
    let said = ground.under(profile)?.text(name, script)?.run(command, LIMIT).await?;
    ensure!(said.ends_with("all done\n"), "{said}");
    ensure!(!said.contains("not permitted"), "{said}");
    Ok(())
}
