//! A browser without a window that obeys commands: Chromium, with the DevTools protocol over a pair of pipes.
//!
//! A command is a JSON object with a number, and its result has the same number; events come in between. Each message ends
//! with a zero byte. Chromium reads commands from descriptor 3 and writes to descriptor 4, so that no port is needed.

use std::env;
use std::io::{BufRead as _, BufReader, Read, Write as _};
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc::{self, Receiver, Sender};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};
use nix::sys::signal::{Signal, killpg};
use nix::unistd::Pid;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

/// The programs that can be driven, the most likely one first.
const PROGRAMS: [&str; 3] = ["chromium", "chromium-browser", "google-chrome"];
/// How long the browser may take for a command: on a machine that is busy with other work, the first one may take long.
const PATIENCE: Duration = Duration::from_secs(120);

/// Returns the name of a browser that can be driven, if one is installed.
pub(crate) fn program() -> Option<&'static str> {
    let path = env::var_os("PATH").unwrap_or_default();
    let is_installed =
        |name: &&str| env::split_paths(&path).any(|folder| folder.join(name).is_file());
    PROGRAMS.into_iter().find(is_installed)
}

/// A browser with one page.
pub(crate) struct Browser {
    process: Child,
    commands: ChildStdin,
    messages: Receiver<Value>,
    last_id: u64,
    /// The page that commands are meant for; none before it exists.
    session: Option<String>,
    /// Events since the page was opened.
    events: Vec<Value>,
    /// Removed with the browser.
    _profile: tempfile::TempDir,
}

impl Browser {
    /// Starts a browser with an empty page.
    ///
    /// # Errors
    ///
    /// Fails if the program cannot be started or does not answer.
    pub(crate) fn start(program: &str) -> Result<Self> {
        let profile = tempfile::tempdir().context("cannot create a temporary folder")?;
        // bash gives our two pipes the numbers that Chromium expects.
        let mut process = Command::new("bash")
            .args(["-c", r#"exec "$@" 3<&0 4>&1 </dev/null >/dev/null"#, "bash"])
            .args([program, "--headless", "--no-sandbox", "--disable-gpu"])
            .args(["--hide-scrollbars", "--remote-debugging-pipe"])
            .arg(format!("--user-data-dir={}", profile.path().display()))
            .process_group(0)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .context("cannot start bash")?;
        let commands = process.stdin.take().context("a pipe is missing")?;
        let output = process.stdout.take().context("a pipe is missing")?;
        let (sender, messages) = mpsc::channel();
        thread::spawn(move || listen(output, &sender));
        let mut browser = Self {
            process,
            commands,
            messages,
            last_id: 0,
            session: None,
            events: Vec::new(),
            _profile: profile,
        };
        browser.create_page()?;
        Ok(browser)
    }

    fn create_page(&mut self) -> Result<()> {
        let target = self.call("Target.createTarget", &json!({"url": "about:blank"}))?;
        let whole = json!({"targetId": target["targetId"], "flatten": true});
        let attached = self.call("Target.attachToTarget", &whole)?;
        let session = attached["sessionId"].as_str();
        self.session = Some(session.context("the browser has no page")?.to_owned());
        for domain in ["Page.enable", "Runtime.enable", "Log.enable"] {
            self.call(domain, &json!({}))?;
        }
        // The page for printing calls it, and there is no window to ask in.
        let source = json!({"source": "window.print = () => {};"});
        self.call("Page.addScriptToEvaluateOnNewDocument", &source)?;
        Ok(())
    }

    /// Gives the page a width and a height in CSS pixels.
    ///
    /// # Errors
    ///
    /// Fails if the browser does not obey.
    pub(crate) fn resize(&mut self, width: u32, height: u32) -> Result<()> {
        let size =
            json!({"width": width, "height": height, "deviceScaleFactor": 1, "mobile": false});
        self.call("Emulation.setDeviceMetricsOverride", &size)?;
        Ok(())
    }

    /// Opens a file and waits until everything in it is loaded.
    ///
    /// # Errors
    ///
    /// Fails if the page cannot be loaded.
    pub(crate) fn open(&mut self, page: &Path) -> Result<()> {
        self.events.clear();
        let url = format!("file://{}", page.display());
        let answer = self.call("Page.navigate", &json!({"url": url}))?;
        if let Some(reason) = answer["errorText"].as_str() {
            bail!("cannot open {url}: {reason}");
        }
        let deadline = Instant::now() + PATIENCE;
        let is_loaded = |event: &Value| event["method"] == "Page.loadEventFired";
        while !self.events.iter().any(is_loaded) {
            let event = self.hear(deadline).context("the page is not loaded")?;
            self.events.push(event);
        }
        Ok(())
    }

    /// Evaluates an expression of JavaScript in the page; a promise is waited for.
    ///
    /// # Errors
    ///
    /// Fails if it throws, or its value is not what is expected.
    pub(crate) fn evaluate<T: DeserializeOwned>(&mut self, expression: &str) -> Result<T> {
        let order = json!({"expression": expression, "awaitPromise": true, "returnByValue": true});
        let answer = self.call("Runtime.evaluate", &order)?;
        if let Some(exception) = answer.get("exceptionDetails") {
            bail!("the page throws {}", exception_text(exception));
        }
        serde_json::from_value(answer["result"]["value"].clone())
            .context("the page answers something unexpected")
    }

    /// Returns the errors that the console shows for this page.
    pub(crate) fn errors(&self) -> Vec<String> {
        self.events.iter().filter_map(error).collect()
    }

    /// Sends a command and waits for its result.
    fn call(&mut self, method: &str, params: &Value) -> Result<Value> {
        self.last_id += 1;
        let id = self.last_id;
        let mut command = json!({"id": id, "method": method, "params": params});
        if let Some(session) = &self.session {
            command["sessionId"] = json!(session);
        }
        let mut bytes = serde_json::to_vec(&command)?;
        bytes.push(0);
        let sent = self.commands.write_all(&bytes);
        sent.context("the browser has ended")?;
        let deadline = Instant::now() + PATIENCE;
        loop {
            let mut message = self.hear(deadline).context(method.to_owned())?;
            if message["id"] != id {
                self.events.push(message);
            } else if let Some(error) = message.get("error") {
                bail!("{method}: {error}");
            } else {
                return Ok(message["result"].take());
            }
        }
    }

    fn hear(&self, deadline: Instant) -> Result<Value> {
        let left = deadline.saturating_duration_since(Instant::now());
        let message = self.messages.recv_timeout(left);
        message.context("the browser does not answer")
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        let group = Pid::from_raw(self.process.id().cast_signed());
        // Fails if all its processes have ended already.
        let _ = killpg(group, Signal::SIGKILL);
        let _ = self.process.wait();
    }
}

/// Passes messages on until the browser ends.
fn listen(output: impl Read, sender: &Sender<Value>) {
    let messages = BufReader::new(output).split(0).map_while(Result::ok);
    for message in messages.filter_map(|bytes| serde_json::from_slice(&bytes).ok()) {
        if sender.send(message).is_err() {
            return;
        }
    }
}

/// Returns the text of an event that the console shows as an error.
fn error(event: &Value) -> Option<String> {
    let params = &event["params"];
    match event["method"].as_str()? {
        "Runtime.exceptionThrown" => Some(exception_text(&params["exceptionDetails"])),
        "Runtime.consoleAPICalled" if params["type"] == "error" => {
            Some(params["args"][0]["value"].to_string())
        }
        "Log.entryAdded" if params["entry"]["level"] == "error" => {
            let entry = &params["entry"];
            Some(format!(
                "{}: {}",
                words(&entry["url"]),
                words(&entry["text"])
            ))
        }
        _ => None,
    }
}

fn exception_text(details: &Value) -> String {
    let description = &details["exception"]["description"];
    if description.is_string() {
        words(description)
    } else {
        words(&details["text"])
    }
}

fn words(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}
