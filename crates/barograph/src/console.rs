//! The console exporter: prints requests on stdout, one line of OTLP/JSON each.

use std::future::Future;
use std::io::{self, Write as _};
use std::pin::Pin;

use barograph_encode::otlp::{Encoding, Request, Signal};
use barograph_export::{Outcome, Permanent, Target, Transport};
use tokio::task::spawn_blocking;

/// A transport that prints on stdout.
pub(crate) struct Console {
    target: Target,
}

impl Console {
    pub(crate) fn new(signal: Signal) -> Self {
        Console {
            target: Target {
                url: "stdout".into(),
                component_type: match signal {
                    Signal::Metrics => "otlp_stdout_metric_exporter",
                    Signal::Traces => "otlp_stdout_span_exporter",
                    Signal::Logs => "otlp_stdout_log_exporter",
                },
                host: String::new(),
                port: None,
            },
        }
    }
}

impl Transport for Console {
    fn send<'a>(
        &'a mut self,
        request: &'a Request,
    ) -> Pin<Box<dyn Future<Output = Outcome> + Send + 'a>> {
        let line = request.body.clone();
        // The reader of stdout may be slow; only this request waits for it.
        let printed = spawn_blocking(move || print(&line));
        Box::pin(async move {
            let error = match printed.await {
                Ok(Ok(())) => return Outcome::Delivered(None),
                Ok(Err(error)) => error.to_string(),
                Err(error) => error.to_string(),
            };
            // A closed stdout does not come back, so the failure is permanent.
            Outcome::Permanent(Permanent {
                error_type: "stdout".into(),
                message: error,
            })
        })
    }

    fn target(&self) -> &Target {
        &self.target
    }

    fn encoding(&self) -> Encoding {
        Encoding::Json
    }
}

fn print(line: &[u8]) -> io::Result<()> {
    let mut out = io::stdout().lock();
    out.write_all(line)?;
    out.write_all(b"\n")?;
    out.flush()
}
