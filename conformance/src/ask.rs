//! HTTP requests to the servers of the tests, on the loopback interface.

use std::time::Duration;

use serde_json::Value;

/// The time limit of a request, and of a checker.
pub(crate) const LIMIT: Duration = Duration::from_secs(20);

/// Returns a client whose requests have this time limit. An error status is an error.
pub fn agent(limit: Duration) -> ureq::Agent {
    ureq::Agent::config_builder()
        .timeout_global(Some(limit))
        .build()
        .into()
}

/// Returns a client that returns every response, whatever its status.
pub(crate) fn calm_agent() -> ureq::Agent {
    ureq::Agent::config_builder()
        .http_status_as_error(false)
        .timeout_global(Some(LIMIT))
        .build()
        .into()
}

/// Returns the JSON at this URL, or `None` while the server does not answer with JSON.
pub(crate) fn json(url: &str) -> Option<Value> {
    let text = agent(LIMIT)
        .get(url)
        .call()
        .ok()?
        .body_mut()
        .read_to_string();
    serde_json::from_str(&text.ok()?).ok()
}

/// Posts JSON and returns the status of the response, or 0 if there was none.
pub fn post(url: &str, headers: &[(&str, &str)], body: &str) -> u16 {
    let mut request = calm_agent()
        .post(url)
        .header("content-type", "application/json");
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    let answer = request.send(body);
    answer.map_or(0, |answer| answer.status().as_u16())
}
