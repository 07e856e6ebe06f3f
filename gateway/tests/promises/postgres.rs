//! A PostgreSQL server for one test, on a socket in a directory of its own, ended with the test.

use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::os::unix::fs::{MetadataExt, chown};
use std::os::unix::net::UnixStream;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio, id};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;

/// PostgreSQL does not run as root; this is nobody.
const NOBODY: u32 = 65_534;

pub struct Server {
    process: Child,
    directory: PathBuf,
    binaries: PathBuf,
    databases: AtomicU64,
}

/// Says so when there is none.
pub fn start() -> Option<Server> {
    let Some(binaries) = binaries() else {
        println!("skipped: there is no PostgreSQL here (Debian: postgresql)");
        return None;
    };
    static NEXT: AtomicU64 = AtomicU64::new(0);
    // Not in cargo's directory: a socket's path is short, and nobody may not go everywhere.
    let number = NEXT.fetch_add(1, Ordering::Relaxed);
    let directory = std::env::temp_dir().join(format!("ringside-pg-{}-{number}", id()));
    fs::create_dir_all(&directory).expect("the temporary directory can be written");
    if is_root() {
        chown(&directory, Some(NOBODY), Some(NOBODY)).expect("root may give away");
    }
    let initdb = command(&binaries, "initdb", &directory)
        .args(["--auth=trust", "--username=postgres", "--no-sync", "--encoding=UTF8"])
        .output();
    let initdb = initdb.expect("initdb starts");
    assert!(initdb.status.success(), "initdb: {}", String::from_utf8_lossy(&initdb.stderr));
    Some(Server { process: serve(&binaries, &directory), directory, binaries, databases: AtomicU64::new(0) })
}

impl Server {
    /// The URL of a new database.
    pub fn database(&self) -> String {
        let name = self.create();
        let socket = self.directory.to_str().expect("our own path").replace('/', "%2F");
        format!("postgres://postgres@{socket}/{name}")
    }

    /// A way to a new database that can fall silent.
    pub fn line(&self) -> Line {
        Line::new(self.directory.join(".s.PGSQL.5432"), self.create())
    }

    fn create(&self) -> String {
        let name = format!("history{}", self.databases.fetch_add(1, Ordering::Relaxed));
        let made = command(&self.binaries, "createdb", &self.directory)
            .args(["--username=postgres", "--host"])
            .arg(&self.directory)
            .arg(&name)
            .output()
            .expect("createdb starts");
        assert!(made.status.success(), "createdb: {}", String::from_utf8_lossy(&made.stderr));
        name
    }

    /// Ends it at once, as a crash would, and lets it come back when `restart` is called.
    pub fn kill(&mut self) {
        // Its children notice that the parent is gone and end, too.
        let stopped =
            command(&self.binaries, "pg_ctl", &self.directory).args(["stop", "-m", "immediate"]).output();
        assert!(stopped.expect("pg_ctl starts").status.success());
        let _ = self.process.wait();
    }

    pub fn restart(&mut self) {
        self.process = serve(&self.binaries, &self.directory);
    }
}

/// Stands between clients and the server.
pub struct Line {
    port: u16,
    name: String,
    is_silent: Arc<AtomicBool>,
}

impl Line {
    fn new(server: PathBuf, name: String) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let port = listener.local_addr().expect("it is bound").port();
        let is_silent = Arc::new(AtomicBool::new(false));
        let silent = is_silent.clone();
        thread::spawn(move || {
            for client in listener.incoming().map_while(Result::ok) {
                let server = UnixStream::connect(&server).expect("the server is there");
                let copy = |stream: &TcpStream| stream.try_clone().expect("there are descriptors");
                let (to_client, of_server) = (copy(&client), server.try_clone().expect("as above"));
                let (there, back) = (silent.clone(), silent.clone());
                thread::spawn(move || {
                    carry(&client, &server, &there);
                    let _ = server.shutdown(Shutdown::Both); // it gives up what the client had begun
                });
                thread::spawn(move || carry(&of_server, &to_client, &back));
            }
        });
        Self { port, name, is_silent }
    }

    /// The URL of its database.
    pub fn database(&self) -> String {
        format!("postgres://postgres@127.0.0.1:{}/{}", self.port, self.name)
    }

    /// Connections are taken, and nothing is said on any of them.
    pub fn set_silent(&self, is_silent: bool) {
        self.is_silent.store(is_silent, Ordering::SeqCst);
    }
}

/// What was not said while it was silent is never said.
fn carry(mut from: impl Read, mut to: impl Write, is_silent: &AtomicBool) {
    let (mut buffer, mut is_cut) = ([0; 4096], false);
    while let Ok(count @ 1..) = from.read(&mut buffer) {
        is_cut |= is_silent.load(Ordering::SeqCst);
        if !is_cut && to.write_all(&buffer[..count]).is_err() {
            return;
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = command(&self.binaries, "pg_ctl", &self.directory).args(["stop", "-m", "immediate"]).output();
        let _ = self.process.kill();
        let _ = self.process.wait();
        let _ = fs::remove_dir_all(&self.directory);
    }
}

/// Returns when it says that it is ready.
fn serve(binaries: &Path, directory: &Path) -> Child {
    let mut process = command(binaries, "postgres", directory)
        .args(["-c", "listen_addresses=", "-c", "fsync=off", "-k"])
        .arg(directory)
        .stderr(Stdio::piped())
        .spawn()
        .expect("postgres starts");
    let mut lines = BufReader::new(process.stderr.take().expect("it is piped")).lines();
    let mut said = String::new();
    loop {
        let line = lines.next().unwrap_or_else(|| panic!("postgres ended: {said}")).expect("it speaks text");
        if line.contains("ready to accept connections") {
            break;
        }
        said += &line;
        said.push('\n');
    }
    thread::spawn(move || lines.for_each(drop)); // so that it never meets a full pipe
    process
}

/// A program of PostgreSQL's, for its data directory and as a user that it accepts.
fn command(binaries: &Path, program: &str, directory: &Path) -> Command {
    let mut command = Command::new(binaries.join(program));
    command.env("PGDATA", directory.join("data")).current_dir(directory).stdin(Stdio::null());
    if is_root() {
        command.uid(NOBODY).gid(NOBODY);
    }
    command
}

/// Where its programs are: in the path, or where Debian puts them.
fn binaries() -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let of_path = std::env::split_paths(&path).collect::<Vec<_>>();
    let debian = fs::read_dir("/usr/lib/postgresql").into_iter().flatten().flatten();
    // In the path there may be links to some of them only.
    let in_path = of_path
        .iter()
        .filter_map(|place| Some(place.join("postgres").canonicalize().ok()?.parent()?.to_owned()));
    let mut places = in_path.chain(debian.map(|version| version.path().join("bin")));
    places.find(|place| {
        ["initdb", "postgres", "pg_ctl", "createdb"].iter().all(|program| place.join(program).exists())
    })
}

fn is_root() -> bool {
    fs::metadata("/proc/self").is_ok_and(|of_us| of_us.uid() == 0)
}
