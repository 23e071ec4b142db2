//! A page as a scraper receives it, and the programs that check it.

use std::{
    io::Write,
    path::Path,
    process::{Command, Stdio},
};

use crate::{
    ask::{LIMIT, agent},
    backends::{program, workspace},
};

/// The `Accept` header for Prometheus text 0.0.4.
pub const TEXT: &str = "text/plain; version=0.0.4";
/// The `Accept` header for OpenMetrics 1.0 with names in the legacy character set.
pub const OPENMETRICS: &str = "application/openmetrics-text; version=1.0.0; escaping=underscores";
/// The `Accept` header for OpenMetrics 1.0 with UTF-8 names.
pub const OPENMETRICS_UTF8: &str =
    "application/openmetrics-text; version=1.0.0; escaping=allow-utf-8";

/// Fetches `url` and checks that the content type is the one that was asked for.
///
/// # Panics
///
/// Panics if the page cannot be fetched, or has another content type.
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

/// Checks a page in text 0.0.4 with `promtool check metrics`.
///
/// # Errors
///
/// Returns the complaints of promtool.
pub fn promtool(page: &str) -> Result<(), String> {
    check(
        Command::new(program("bin/promtool")).args(["check", "metrics"]),
        page,
    )
}

/// Checks a page with the OpenMetrics reference parser, and with the rules that the parser does not
/// check.
///
/// # Errors
///
/// Returns the complaints of the parser.
pub fn openmetrics(page: &str) -> Result<(), String> {
    let script: &Path = &workspace().join("conformance/openmetrics.py");
    check(Command::new(program("python/bin/python")).arg(script), page)
}

/// Runs a checker over a page. The page is valid if the checker succeeds and prints nothing.
fn check(command: &mut Command, page: &str) -> Result<(), String> {
    let mut child = command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .map_err(|error| format!("{command:?} does not start: {error}"))?;
    // A checker that stops early closes its stdin; its output says why.
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
