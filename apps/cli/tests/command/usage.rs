//! Wrong usage, help and output that is the same for all commands.

use std::process::Stdio;

use crate::harness::{command, run, run_command, run_with};

#[test]
fn wrong_usage_is_named_with_what_was_expected() {
    for (arguments, expected) in [
        (&["pages"][..], "unrecognized subcommand 'pages'"),
        (
            &["page", "chek", "x"],
            "a similar subcommand exists: 'check'",
        ),
        (&["page", "check"], "<URL|FILE|->"),
        (
            &["page", "check", "x", "--jsno"],
            "a similar argument exists: '--json'",
        ),
        (
            &["page", "check", "x", "--timeout", "soon"],
            "invalid value 'soon' for '--timeout <SECONDS>': expected a number of seconds from 0.001 to 3600",
        ),
        (
            &["page", "check", "x", "--format", "xml"],
            "[possible values: auto, text, openmetrics]",
        ),
    ] {
        let run = run(arguments);
        assert!(
            run.stderr.contains(expected),
            "{arguments:?}: {}",
            run.stderr
        );
        assert_eq!((run.code, run.stdout.as_str()), (2, ""), "{arguments:?}");
    }
}

#[test]
fn every_command_has_help_with_examples_and_exit_codes() {
    for path in [
        &["page", "check"][..],
        &["page", "diff"],
        &["queue", "inspect"],
    ] {
        let run = run(&[path, &["--help"]].concat());
        assert_eq!((run.code, run.stderr.as_str()), (0, ""));
        let example = format!("\n  barograph {} ", path.join(" "));
        for part in [
            "Examples:\n",
            &example,
            "Exit codes:\n  0  ",
            "\n  1  ",
            "\n  2  ",
        ] {
            assert!(
                run.stdout.contains(part),
                "{path:?}: {part:?} in {}",
                run.stdout
            );
        }
    }
    let run = run(&["--version"]);
    assert_eq!(
        run.stdout,
        format!("barograph {}\n", env!("CARGO_PKG_VERSION"))
    );
}

#[test]
fn without_a_terminal_there_are_no_colors() {
    let run = run_with(&["page", "check", "-"], "a 1\n");
    assert!(run.stdout.contains("warning: "), "{}", run.stdout);
    assert!(!run.stdout.contains('\x1b'), "{}", run.stdout);
}

/// Runs the command with a terminal as its output, which `script` of util-linux makes.
fn on_a_terminal(arguments: &str, no_color: bool) -> String {
    let line = format!("{} {arguments}", env!("CARGO_BIN_EXE_barograph"));
    let mut script = command(&[]);
    let mut script_command = std::process::Command::new("script");
    script_command
        .args(["-qec", &line, "/dev/null"])
        .stdin(Stdio::null());
    for (name, value) in script.get_envs() {
        if value.is_none() {
            script_command.env_remove(name);
        }
    }
    if no_color {
        script_command.env("NO_COLOR", "1");
    }
    script = script_command;
    run_command(&mut script, "").stdout
}

#[cfg(target_os = "linux")]
#[test]
fn on_a_terminal_there_are_colors_unless_no_color_is_set() {
    let page = crate::harness::File::new("page.prom", "a 1\n");
    let arguments = format!("page check {}", page.path());
    let colored = on_a_terminal(&arguments, false);
    assert!(colored.contains("\x1b[33mwarning:\x1b[0m"), "{colored:?}");
    let plain = on_a_terminal(&arguments, true);
    assert!(
        plain.contains("warning:") && !plain.contains('\x1b'),
        "{plain:?}"
    );
}

#[test]
fn a_reader_that_has_seen_enough_is_no_error() {
    let page = "a{b=\"c\"} 1\n".repeat(20_000);
    let page = crate::harness::File::new("page.prom", page);
    let mut child = command(&["page", "check", page.path()]);
    let mut child = child
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    drop(child.stdout.take());
    let output = child.wait_with_output().unwrap();
    assert_eq!(String::from_utf8(output.stderr).unwrap(), "");
    assert_eq!(output.status.code(), Some(1));
}
