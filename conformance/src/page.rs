//! A page as a scraper gets it, and the programs that check it.

use std::{
    io::Write,
    path::Path,
    process::{Command, Stdio},
};

use crate::{
    ask::{LIMIT, agent},
    backends::{program, workspace},
};

/// Asks for Prometheus text 0.0.4.
pub const TEXT: &str = "text/plain; version=0.0.4";
/// Asks for OpenMetrics 1.0 with names of the old alphabet.
pub const OPENMETRICS: &str = "application/openmetrics-text; version=1.0.0; escaping=underscores";
/// Asks for OpenMetrics 1.0 with names as they are.
pub const OPENMETRICS_UTF8: &str =
    "application/openmetrics-text; version=1.0.0; escaping=allow-utf-8";

/// Fetches `url` and checks that the content type is the one that was asked for.
///
/// # Panics
///
/// When the page does not come, or comes as something else.
#[track_caller]
pub fn fetch(url: &str, accept: &str) -> String {
    let mut answer = agent(LIMIT)
        .get(url)
        .header("accept", accept)
        .call()
        .expect("the page is served");
    let kind = answer
        .headers()
        .get("content-type")
        .and_then(|kind| kind.to_str().ok());
    let kind = kind.expect("a page has a content type").to_owned();
    let wanted = accept.split("; escaping").next().unwrap_or(accept);
    assert!(kind.starts_with(wanted), "asked for {accept}, got {kind}");
    answer
        .body_mut()
        .read_to_string()
        .expect("a page is text in UTF-8")
}

/// `promtool check metrics`: nothing to say about a page in text 0.0.4.
///
/// # Errors
///
/// What promtool has to say.
pub fn promtool(page: &str) -> Result<(), String> {
    check(
        Command::new(program("bin/promtool")).args(["check", "metrics"]),
        page,
    )
}

/// The reference parser of OpenMetrics and the rules that it does not hold.
///
/// # Errors
///
/// What the parser has to say.
pub fn openmetrics(page: &str) -> Result<(), String> {
    let script: &Path = &workspace().join("conformance/openmetrics.py");
    check(Command::new(program("python/bin/python")).arg(script), page)
}

/// Runs a checker over a page, which is clean when the checker succeeds and prints nothing.
fn check(command: &mut Command, page: &str) -> Result<(), String> {
    let mut child = command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .map_err(|error| format!("{command:?} does not start: {error}"))?;
    // A checker that gives up early closes its end; its output says why.
    let _ = child
        .stdin
        .take()
        .expect("stdin is piped")
        .write_all(page.as_bytes());
    let output = child
        .wait_with_output()
        .map_err(|error| error.to_string())?;
    let said = [output.stdout, output.stderr].concat();
    match (output.status.success(), said.is_empty()) {
        (true, true) => Ok(()),
        _ => Err(format!(
            "{}: {}",
            output.status,
            String::from_utf8_lossy(&said)
        )),
    }
}
