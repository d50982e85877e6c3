//! A browser without a window, asked over a pipe by its own protocol for tools: no port, and nothing but files is opened.

use std::{
    env,
    io::{BufRead as _, BufReader, Write as _},
    os::unix::process::CommandExt as _,
    path::{Path, PathBuf},
    process::{Child, ChildStdin, Command, Stdio},
    sync::mpsc::{Receiver, channel},
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, bail, ensure};
use rustix::process::{Pid, Signal, geteuid, kill_process_group};
use serde_json::{Value, json};
use tempfile::TempDir;

/// The longest wait for an answer.
const PATIENCE: Duration = Duration::from_mins(2);

const NAMES: [&str; 4] = ["chromium", "chromium-browser", "google-chrome", "chrome"];

/// A running browser; it ends when this is dropped.
#[derive(Debug)]
pub struct Browser {
    child: Child,
    input: ChildStdin,
    output: Receiver<Value>,
    next: u64,
    /// What was said besides answers.
    said: Vec<Value>,
    _profile: TempDir,
}

/// A tab, by the name of its session.
#[derive(Clone, Debug)]
pub struct Tab(String);

/// How a page is looked at.
#[derive(Clone, Copy, Debug)]
pub struct Look {
    pub width: u32,
    pub dark: bool,
    pub paper: bool,
}

/// The program, as `CHROMIUM` or `PATH` have it.
pub fn find() -> Option<PathBuf> {
    if let Some(path) = env::var_os("CHROMIUM").filter(|path| !path.is_empty()) {
        return Some(path.into());
    }
    let path = env::var_os("PATH").unwrap_or_default();
    let mut all = env::split_paths(&path).flat_map(|folder| NAMES.map(|name| folder.join(name)));
    all.find(|path| path.is_file())
}

impl Browser {
    pub fn start(program: &Path) -> Result<Self> {
        let profile = tempfile::Builder::new().prefix("cinch-browser-").tempdir()?;
        let mut command = Command::new("sh");
        // It reads from 3 and writes to 4.
        command.args(["-c", "exec \"$@\" 3<&0 4>&1 </dev/null >/dev/null 2>&1", "sh"]).arg(program);
        command
            .args(["--headless", "--remote-debugging-pipe", "--disable-gpu", "--hide-scrollbars"])
            .args(["--no-first-run", "--disable-background-networking", "--disable-quic"])
            .args(["--disable-component-update", "--disable-sync", "--disable-dev-shm-usage"])
            .arg(format!("--user-data-dir={}", profile.path().display()))
            .args(geteuid().is_root().then_some("--no-sandbox"))
            .arg("about:blank")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            // Its helpers are of its group, and end with it.
            .process_group(0);
        let mut child = command.spawn().context("cannot start a browser")?;
        let input = child.stdin.take().context("no pipe")?;
        let mut reader = BufReader::new(child.stdout.take().context("no pipe")?);
        let (to, output) = channel();
        thread::spawn(move || {
            let mut message = Vec::new();
            while reader.read_until(0, &mut message).is_ok_and(|count| count > 0) {
                message.pop();
                let Ok(value) = serde_json::from_slice(&message) else { return };
                if to.send(value).is_err() {
                    return;
                }
                message.clear();
            }
        });
        let mut browser =
            Self { child, input, output, next: 0, said: Vec::new(), _profile: profile };
        browser.call(None, "Browser.getVersion", &json!({})).context("the browser is silent")?;
        Ok(browser)
    }

    /// Asks, and waits for the answer.
    fn call(&mut self, tab: Option<&Tab>, method: &str, params: &Value) -> Result<Value> {
        self.next += 1;
        let id = self.next;
        let mut question = json!({ "id": id, "method": method, "params": params });
        if let Some(Tab(session)) = tab {
            question["sessionId"] = json!(session);
        }
        let mut bytes = serde_json::to_vec(&question)?;
        bytes.push(0);
        self.input.write_all(&bytes).context("the browser is gone")?;
        let end = Instant::now() + PATIENCE;
        loop {
            let left = end.saturating_duration_since(Instant::now());
            let Ok(answer) = self.output.recv_timeout(left) else {
                bail!("no answer to {method}");
            };
            if answer["id"] != json!(id) {
                self.said.push(answer);
            } else if let Some(error) = answer.get("error") {
                bail!("{method}: {error}");
            } else {
                return Ok(answer["result"].clone());
            }
        }
    }

    /// Opens a file in a new tab, and waits until it is there; `scripts` tells whether its scripts run.
    pub fn open(&mut self, file: &Path, look: Look, scripts: bool) -> Result<Tab> {
        let target = self.call(None, "Target.createTarget", &json!({ "url": "about:blank" }))?;
        let attach = json!({ "targetId": target["targetId"], "flatten": true });
        let session = self.call(None, "Target.attachToTarget", &attach)?;
        let tab = Tab(session["sessionId"].as_str().context("no session")?.to_owned());
        for part in ["Page", "Runtime", "Log", "Network"] {
            self.call(Some(&tab), &format!("{part}.enable"), &json!({}))?;
        }
        let off = json!({ "value": !scripts });
        self.call(Some(&tab), "Emulation.setScriptExecutionDisabled", &off)?;
        self.look(&tab, look)?;
        let url = format!("file://{}", file.display());
        let gone = self.call(Some(&tab), "Page.navigate", &json!({ "url": url }))?;
        ensure!(gone.get("errorText").is_none(), "{url}: {gone}");
        let loaded = |said: &Value| {
            said["method"] == "Page.loadEventFired" && said["sessionId"] == json!(tab.0)
        };
        let end = Instant::now() + PATIENCE;
        while !self.said.iter().any(loaded) {
            let left = end.saturating_duration_since(Instant::now());
            let Ok(said) = self.output.recv_timeout(left) else { bail!("{url} does not load") };
            self.said.push(said);
        }
        Ok(tab)
    }

    /// Looks at the page in another way.
    pub fn look(&mut self, tab: &Tab, look: Look) -> Result<()> {
        let Look { width, dark, paper } = look;
        let size =
            json!({ "width": width, "height": 800, "deviceScaleFactor": 1, "mobile": width < 500 });
        self.call(Some(tab), "Emulation.setDeviceMetricsOverride", &size)?;
        let scheme = if dark { "dark" } else { "light" };
        let media = json!({
            "media": if paper { "print" } else { "screen" },
            "features": [{ "name": "prefers-color-scheme", "value": scheme }],
        });
        self.call(Some(tab), "Emulation.setEmulatedMedia", &media).map(drop)
    }

    /// The value of an expression in the page.
    pub fn value(&mut self, tab: &Tab, expression: &str) -> Result<Value> {
        let params =
            json!({ "expression": expression, "returnByValue": true, "awaitPromise": true });
        let mut answer = self.call(Some(tab), "Runtime.evaluate", &params)?;
        if let Some(thrown) = answer.get("exceptionDetails") {
            bail!("{expression}: {thrown}");
        }
        Ok(answer["result"]["value"].take())
    }

    /// Types into what has the focus.
    pub fn types(&mut self, tab: &Tab, text: &str) -> Result<()> {
        self.call(Some(tab), "Input.insertText", &json!({ "text": text })).map(drop)
    }

    /// A picture of what can be seen, as base64 of a PNG file.
    pub fn picture(&mut self, tab: &Tab) -> Result<String> {
        // Of a tab behind another one there is none.
        self.call(Some(tab), "Page.bringToFront", &json!({}))?;
        let answer = self.call(Some(tab), "Page.captureScreenshot", &json!({ "format": "png" }))?;
        Ok(answer["data"].as_str().context("no picture")?.to_owned())
    }

    /// What went wrong in a tab: complaints on the console, errors of scripts, and requests for anything but the page.
    pub fn complaints(&mut self, tab: &Tab) -> Result<Vec<Value>> {
        // What was said before the answer is said by then.
        self.value(tab, "0")?;
        let wrong = |said: &&Value| {
            let method = said["method"].as_str().unwrap_or_default();
            let url = said.pointer("/params/request/url").and_then(Value::as_str);
            matches!(method, "Log.entryAdded" | "Runtime.exceptionThrown")
                || method == "Page.javascriptDialogOpening"
                || method == "Runtime.consoleAPICalled"
                || url.is_some_and(|url| !url.starts_with("file://") && !url.starts_with("data:"))
        };
        let of = self.said.iter().filter(|said| said["sessionId"] == json!(tab.0));
        Ok(of.filter(wrong).cloned().collect())
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        // It may be gone already.
        let _ = kill_process_group(Pid::from_child(&self.child), Signal::KILL);
        drop(self.child.wait());
    }
}
