//! Chromium through chromedriver: one exchange, one browser, one page per test.

use std::fs;
use std::io::Write;
use std::panic::resume_unwind;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use fantoccini::wd::WebDriverCompatibleCommand;
use fantoccini::{Client, ClientBuilder, Locator};
use hyper_util::client::legacy::connect::HttpConnector;
use serde_json::{Map, Value, json};
use tokio::task::LocalSet;

use crate::exchange::{Exchange, fresh_directory, lines_of};

/// Anything the page promises happens within a second; a busy machine gets more.
const PATIENCE: Duration = Duration::from_secs(60);
const LOOK_EVERY: Duration = Duration::from_millis(50);

#[derive(Clone, Copy)]
pub enum Screen {
    Desk,
    Phone,
}

impl Screen {
    /// Emulated, because a headless window cannot be narrower than 500 pixels and loses height to a title bar.
    fn metrics(self) -> Value {
        match self {
            Screen::Desk => {
                json!({ "width": 1440, "height": 900, "pixelRatio": 1.0, "mobile": false, "touch": false })
            }
            Screen::Phone => {
                json!({ "width": 375, "height": 812, "pixelRatio": 2.0, "mobile": true, "touch": true })
            }
        }
    }
}

/// Runs `test` on the page of a fresh exchange, and closes the browser whatever comes of it. Without a browser on
/// the machine it says so and returns.
pub fn with_page<F: Future<Output = ()> + 'static>(screen: Screen, test: impl FnOnce(Page) -> F) {
    with_page_of(Exchange::start(), screen, test);
}

/// The same with an exchange that is there already.
pub fn with_page_of<F: Future<Output = ()> + 'static>(
    exchange: Exchange,
    screen: Screen,
    test: impl FnOnce(Page) -> F,
) {
    let Some(chromium) = find_browser() else { return };
    let driver = Driver::start();
    let runtime =
        tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a small runtime");
    let outcome = LocalSet::new().block_on(&runtime, async {
        let client = driver.open_browser(&chromium, screen).await;
        let page = Page { client: client.clone() };
        page.client.goto(&exchange.http).await.expect("the page can be opened");
        let outcome = tokio::task::spawn_local(test(page)).await;
        client.close().await.expect("the browser closes");
        outcome
    });
    if let Err(error) = outcome {
        resume_unwind(error.into_panic());
    }
}

pub struct Page {
    client: Client,
}

impl Page {
    /// Looks until `script` returns true. There are no sleeps in these tests, only facts and a deadline.
    pub async fn wait_until(&self, fact: &str, script: impl AsRef<str>) {
        let deadline = Instant::now() + PATIENCE;
        while self.script(script.as_ref()).await != true {
            if Instant::now() > deadline {
                self.give_up(fact).await;
            }
            tokio::time::sleep(LOOK_EVERY).await;
        }
    }

    pub async fn script(&self, script: &str) -> Value {
        self.client.execute(script, vec![]).await.unwrap_or_else(|error| panic!("running {script}: {error}"))
    }

    pub async fn click(&self, selector: &str) {
        self.element(selector)
            .await
            .click()
            .await
            .unwrap_or_else(|error| panic!("clicking {selector}: {error}"));
    }

    pub async fn type_into(&self, selector: &str, text: &str) {
        let input = self.element(selector).await;
        input.clear().await.expect("an input can be cleared");
        input.send_keys(text).await.expect("an input takes keys");
    }

    pub async fn text_of(&self, selector: &str) -> String {
        let text = self.element(selector).await.prop("textContent").await;
        text.expect("an element has text").unwrap_or_default()
    }

    pub async fn attribute_of(&self, selector: &str, name: &str) -> String {
        let value = self.element(selector).await.attr(name).await.expect("an element has attributes");
        value.unwrap_or_else(|| panic!("{selector} has no {name}"))
    }

    pub async fn assert_console_is_clean(&self) {
        let errors = self.console_errors().await;
        assert!(errors.is_empty(), "the console says: {errors:#?}");
    }

    /// The window as PNG.
    pub async fn picture(&self) -> Vec<u8> {
        self.client.screenshot().await.expect("a picture can be taken")
    }

    async fn element(&self, selector: &str) -> fantoccini::elements::Element {
        let found = self.client.find(Locator::Css(selector)).await;
        found.unwrap_or_else(|error| panic!("looking for {selector}: {error}"))
    }

    async fn console_errors(&self) -> Vec<Value> {
        let log = self.client.issue_cmd(ReadConsole).await.expect("chromedriver keeps the console");
        let entries = log.as_array().cloned().unwrap_or_default();
        entries.into_iter().filter(|entry| entry["level"] == "SEVERE").collect()
    }

    /// Says what the page showed instead.
    async fn give_up(&self, fact: &str) -> ! {
        let state = self.script("return document.querySelector('#connection-text')?.textContent").await;
        let message = self.script("return document.querySelector('#form-message')?.textContent").await;
        let errors = self.console_errors().await;
        panic!(
            "not within {PATIENCE:?}: {fact}. connection {state}, form message {message}, console {errors:#?}"
        );
    }
}

/// chromedriver on a port it chose itself.
struct Driver {
    process: Child,
    directory: PathBuf,
    url: String,
}

impl Driver {
    fn start() -> Self {
        let directory = fresh_directory("browser");
        let mut process = Command::new("chromedriver")
            .args(["--port=0", "--log-level=SEVERE"])
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .expect("chromedriver was there a moment ago");
        let lines = lines_of(process.stdout.take().expect("stdout is piped"));
        let mut driver = Self { process, directory, url: String::new() };
        driver.url = loop {
            let line = lines.recv_timeout(PATIENCE).expect("chromedriver names its port when it is ready");
            // "ChromeDriver was started successfully on port 37459."
            if let Some((_, port)) = line.split_once("successfully on port ") {
                break format!("http://127.0.0.1:{}", port.trim_end_matches('.'));
            }
        };
        driver
    }

    async fn open_browser(&self, chromium: &Path, screen: Screen) -> Client {
        let mut capabilities = Map::new();
        capabilities.insert("goog:chromeOptions".into(), self.options(chromium, screen));
        capabilities.insert("goog:loggingPrefs".into(), json!({ "browser": "ALL" }));
        let mut builder = ClientBuilder::new(HttpConnector::new());
        builder.capabilities(capabilities).connect(&self.url).await.expect("chromedriver starts the browser")
    }

    fn options(&self, chromium: &Path, screen: Screen) -> Value {
        let mut arguments = vec![
            "--headless".to_owned(),
            "--no-sandbox".to_owned(), // root, as in CI and containers, has no other way
            "--disable-gpu".to_owned(),
            "--disable-dev-shm-usage".to_owned(), // containers have 64 MB there
            "--no-first-run".to_owned(),
            // Nothing leaves the machine.
            "--disable-quic".to_owned(),
            "--disable-background-networking".to_owned(),
            "--disable-component-update".to_owned(),
            "--disable-sync".to_owned(),
            "--no-proxy-server".to_owned(),
            "--blink-settings=preferredColorScheme=0".to_owned(), // dark, the page's first face
        ];
        arguments.push(format!("--user-data-dir={}", self.directory.display()));
        json!({ "binary": chromium, "args": arguments, "mobileEmulation": { "deviceMetrics": screen.metrics() } })
    }
}

impl Drop for Driver {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
        let _ = fs::remove_dir_all(&self.directory);
    }
}

/// The one command fantoccini does not have: what the browser wrote to its console since the last look.
#[derive(Debug)]
struct ReadConsole;

impl WebDriverCompatibleCommand for ReadConsole {
    fn endpoint(&self, base: &url::Url, session: Option<&str>) -> Result<url::Url, url::ParseError> {
        base.join(&format!("session/{}/se/log", session.unwrap_or_default()))
    }

    fn method_and_body(&self, _: &url::Url) -> (http::Method, Option<String>) {
        (http::Method::POST, Some(json!({ "type": "browser" }).to_string()))
    }
}

/// The browser to drive, or a note on stderr, past the test harness, that the test is skipped.
fn find_browser() -> Option<PathBuf> {
    let browser = ["chromium", "chromium-browser", "google-chrome"].into_iter().find_map(in_path);
    let missing = match (&browser, in_path("chromedriver")) {
        (Some(_), Some(_)) => return browser,
        (None, _) => "chromium",
        (_, None) => "chromedriver",
    };
    let note = format!("skipped: {missing} is not installed, and the page was not tried in a browser\n");
    std::io::stderr().write_all(note.as_bytes()).expect("stderr can be written");
    None
}

fn in_path(program: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH")?;
    std::env::split_paths(&path).map(|folder| folder.join(program)).find(|file| file.is_file())
}
