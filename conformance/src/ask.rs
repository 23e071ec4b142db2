//! HTTP requests to servers of the tests, on the loopback.

use std::time::Duration;

use serde_json::Value;

/// The time limit of a request, and of a checker.
pub(crate) const LIMIT: Duration = Duration::from_secs(20);

/// A client whose requests take no longer than this. A status that tells of an error is one.
pub fn agent(limit: Duration) -> ureq::Agent {
    ureq::Agent::config_builder()
        .timeout_global(Some(limit))
        .build()
        .into()
}

/// A client that gives every answer, whatever its status.
pub(crate) fn calm_agent() -> ureq::Agent {
    ureq::Agent::config_builder()
        .http_status_as_error(false)
        .timeout_global(Some(LIMIT))
        .build()
        .into()
}

/// The JSON that is there; nothing while nobody answers with any.
pub(crate) fn json(url: &str) -> Option<Value> {
    let text = agent(LIMIT)
        .get(url)
        .call()
        .ok()?
        .body_mut()
        .read_to_string();
    serde_json::from_str(&text.ok()?).ok()
}

/// Posts JSON, and gives the status of the answer; 0 where there is none.
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
