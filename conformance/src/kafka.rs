//! A real Kafka broker, and an independent reader of its messages.

use std::{fs, path::Path, process::Command};

use crate::{backends::program, child::Child, service::free_address};

/// A Kafka broker that is its own controller.
#[derive(Debug)]
pub struct Kafka {
    address: String,
    child: Child,
}

impl Kafka {
    /// Starts a broker. Topics are created when they are first written to.
    ///
    /// # Panics
    ///
    /// Panics if it is not installed or not ready in time.
    #[track_caller]
    pub fn start() -> Self {
        let jars = program("kafka").join("*");
        let [address, controller] = [free_address(), free_address()].map(|a| a.to_string());
        let mut child = Child::start("Kafka", |directory| {
            let config = directory.join("server.properties");
            let text = configuration(&address, &controller, &directory.join("data"));
            fs::write(&config, text).expect("a directory that can be written");
            let java = |main: &str| {
                let mut java = Command::new("java");
                java.args(["-Xmx384m", "-cp"]).arg(&jars).arg(main);
                java
            };
            let formatted = java("kafka.tools.StorageTool")
                .args(["format", "-t", "MkU3OEVBNTcwNTJENDM2Qg", "-c"])
                .arg(&config)
                .output()
                .expect("java runs");
            assert!(formatted.status.success(), "{formatted:?}");
            let mut command = java("kafka.Kafka");
            command.arg(&config);
            command
        });
        let broker = address.clone();
        child.wait_for("list of what there is", |_| {
            let listed = kcat(&broker).args(["-L", "-m", "1"]).output().ok()?;
            listed.status.success().then_some(())
        });
        Self { address, child }
    }

    /// The broker's `host:port`.
    pub fn address(&self) -> &str {
        &self.address
    }

    /// Returns all messages of a topic so far, one per line: headers as `name=value,...`, a tab,
    /// the payload.
    ///
    /// # Panics
    ///
    /// Panics if there are fewer than `at_least` when the time is over.
    #[track_caller]
    pub fn messages(&mut self, topic: &str, at_least: usize) -> Vec<String> {
        let address = self.address.clone();
        self.child.wait_for("messages", |_| {
            let read = kcat(&address)
                .args(["-C", "-e", "-q", "-t", topic, "-f", "%h\t%s\n"])
                .output();
            let text = String::from_utf8(read.ok()?.stdout).ok()?;
            let lines: Vec<String> = text.lines().map(str::to_owned).collect();
            (lines.len() >= at_least).then_some(lines)
        })
    }
}

fn kcat(address: &str) -> Command {
    let mut command = Command::new(program("bin/kcat"));
    command.args(["-b", address]);
    command
}

fn configuration(address: &str, controller: &str, data: &Path) -> String {
    format!(
        "process.roles=broker,controller\n\
         node.id=1\n\
         controller.quorum.voters=1@{controller}\n\
         listeners=PLAINTEXT://{address},CONTROLLER://{controller}\n\
         advertised.listeners=PLAINTEXT://{address}\n\
         controller.listener.names=CONTROLLER\n\
         log.dirs={}\n\
         auto.create.topics.enable=true\n\
         offsets.topic.replication.factor=1\n\
         transaction.state.log.replication.factor=1\n\
         transaction.state.log.min.isr=1\n\
         group.initial.rebalance.delay.ms=0\n",
        data.display()
    )
}
