//! Packages the public crates as a registry would get them, and builds a service from the packages alone.
//!
//! A file that is missing in a package, a dependency without a version and an example that works only
//! inside of this repository are found here.

use std::{
    fs,
    io::{Read as _, Write as _},
    net::{SocketAddr, TcpListener, TcpStream},
    path::Path,
    process::{Child, Command},
    thread,
    time::{Duration, Instant},
};

use crate::cargo::{Result, cargo, packages, run, target_directory, workspace};

/// Packages all public crates, and builds and runs `examples/hello` from them in an empty folder.
pub(crate) fn package() -> Result {
    let folder = target_directory("packaged");
    let target = target_directory("package-build");
    let mut packaging = cargo("package --no-verify --allow-dirty --quiet");
    packaging.arg("--target-dir").arg(&target);
    let mut names = Vec::new();
    for package in packages("Cargo.toml")? {
        // An empty list of registries means that the package is never published.
        if package["publish"].as_array().is_some_and(Vec::is_empty) {
            continue;
        }
        let text = |key: &str| package[key].as_str().map(str::to_owned);
        let (Some(name), Some(version)) = (text("name"), text("version")) else {
            return Err("a package has no name or no version".into());
        };
        packaging.args(["--package", &name]);
        names.push((name, version));
    }
    run(&mut packaging)?;
    if folder.exists() {
        fs::remove_dir_all(&folder)?;
    }
    fs::create_dir_all(folder.join("src"))?;
    let mut patches = String::new();
    for (name, version) in &names {
        let file = target.join(format!("package/{name}-{version}.crate"));
        run(Command::new("tar")
            .args(["--extract", "--gzip", "--file"])
            .arg(file)
            .arg("--directory")
            .arg(&folder))?;
        patches += &format!("{name} = {{ path = \"{name}-{version}\" }}\n");
    }
    fs::write(folder.join("Cargo.toml"), manifest(&patches))?;
    fs::copy(
        workspace().join("examples/hello/src/main.rs"),
        folder.join("src/main.rs"),
    )?;
    // The versions that the workspace is tested with.
    fs::copy(workspace().join("Cargo.lock"), folder.join("Cargo.lock"))?;
    let mut build = cargo("build --quiet --target-dir");
    build.arg(&target).current_dir(&folder);
    run(&mut build)?;
    try_out(&target.join("debug/packaged"))
}

/// The manifest of a service that has `barograph` from a registry, which the packages stand in for.
fn manifest(patches: &str) -> String {
    format!(
        "[package]\n\
         name = \"packaged\"\n\
         version = \"0.0.0\"\n\
         edition = \"2024\"\n\
         [workspace]\n\
         [dependencies]\n\
         axum = \"0.8\"\n\
         barograph = \"*\"\n\
         tokio = {{ version = \"1\", features = [\"full\"] }}\n\
         tracing = \"0.1\"\n\
         [patch.crates-io]\n\
         {patches}"
    )
}

/// Starts the service, sends it a request, looks for it on its page, and ends it.
fn try_out(program: &Path) -> Result {
    let (service, pages) = (free()?, free()?);
    let child = Command::new(program)
        .env("HELLO_ADDR", service.to_string())
        .env("OTEL_EXPORTER_PROMETHEUS_PORT", pages.port().to_string())
        .spawn()?;
    let mut running = Running(child);
    let answer = get(service, "/orders/7")?;
    let page = get(pages, "/metrics")?;
    let status = running.end()?;
    if !answer.ends_with("order 7") {
        return Err(format!("expected \"order 7\", got {answer:?}").into());
    }
    if !page.contains("orders_total{kind=\"web\"} 1\n") {
        return Err(format!("expected one order on the page, got {page:?}").into());
    }
    match status.success() {
        true => Ok(()),
        false => Err(format!("the service ended with {status}").into()),
    }
}

/// A service that is killed unless it has ended.
struct Running(Child);

impl Running {
    fn end(&mut self) -> Result<std::process::ExitStatus> {
        run(Command::new("kill").args(["-TERM", &self.0.id().to_string()]))?;
        Ok(self.0.wait()?)
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // Both fail if it has ended.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Returns an address that nobody listens on.
fn free() -> Result<SocketAddr> {
    Ok(TcpListener::bind("127.0.0.1:0")?.local_addr()?)
}

/// Returns the response to a request, which waits until somebody listens.
fn get(address: SocketAddr, path: &str) -> Result<String> {
    let begun = Instant::now();
    let mut stream = loop {
        match TcpStream::connect(address) {
            Ok(stream) => break stream,
            Err(error) if begun.elapsed() > PATIENCE => return Err(error.into()),
            Err(_) => thread::sleep(Duration::from_millis(50)),
        }
    };
    stream.set_read_timeout(Some(PATIENCE))?;
    write!(
        stream,
        "GET {path} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n"
    )?;
    let mut response = String::new();
    stream.read_to_string(&mut response)?;
    Ok(response)
}

/// The time that the service has to start and to answer.
const PATIENCE: Duration = Duration::from_secs(10);
